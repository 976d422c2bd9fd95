"""A typical server for a masked language model: a FastAPI path that calls transformers' pipeline for each request."""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline


class Asked(BaseModel):
    text: str


def create(folder: str) -> FastAPI:
    app, fill = FastAPI(), pipeline("fill-mask", model=folder)

    @app.post("/fill-mask")
    def fill_mask(asked: Asked) -> list[dict[str, Any]]:
        return fill(asked.text)

    return app


if __name__ == "__main__":
    uvicorn.run(create(sys.argv[1]), port=int(sys.argv[2]), log_level="warning", access_log=False)
