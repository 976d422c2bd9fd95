"""Uploads an exported folder to a repository of the hub, which is created, and private, if there is none.

HF_TOKEN, HF_ENDPOINT and the other variables of huggingface_hub work as usual.
"""

from pathlib import Path

from httpx2 import HTTPError
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id

from dapt.telling.errors import UserError, short


def refuse_name(repository: str) -> None:
    """Refuse a name that the hub does not take."""
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UserError(f"--push {repository} is not a name that the hub takes; it must be OWNER/NAME") from error
    if "/" not in repository:
        raise UserError(f"--push {repository} names no owner; write OWNER/{repository}")


def run(folder: Path, repository: str) -> str:
    """Upload all files of the folder in one commit; return the address of the repository, and whether everyone can read it."""
    api = HfApi()
    try:
        address = api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Upload the model")
        private = api.model_info(repository).private
    except (
        HfHubHTTPError,
        HTTPError,
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # ValueError: the hub rejects the card
        raise UserError(
            f"{repository}: {_reason(error)}; {folder} is complete: once this is solved, "
            f"run hf upload {repository} {folder} . --private"
        ) from error
    return f"{address} ({'private' if private else 'public'})"


def _reason(error: Exception) -> str:
    """Why the hub did not take the folder, and what to do."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status == 401:
        return "the hub does not know you; run hf auth login, or set HF_TOKEN"
    if status in (403, 404):
        return "the token may not write there; create one that may, or choose another OWNER/NAME"
    if isinstance(error, ValueError):
        return f"the hub rejects the card ({short(error)}); correct README.md there"
    return f"the upload failed ({short(error)}); try again later"
