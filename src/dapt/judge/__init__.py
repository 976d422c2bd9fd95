"""`dapt evaluate --model DIR … --text FILE.jsonl`: any masked language models on any text, without params.yaml."""
