"""Writes the seeds of the plans' fuzz target: python -m tests.vectors.make_replay_plan"""
import json
from pathlib import Path

from tests.flow.replay_tool import plan_file, signed

FOLDER = Path(__file__).parent / "replay_plan"
PIECE = {"partition": 3, "first": 10, "last": 19, "records": 9, "bytes": 4096, "samples": 70, "digest": "0123456789abcdef" * 2,
         "note": "{\"hours\":1}"}


def main():
    FOLDER.mkdir(exist_ok=True)
    plan_file(FOLDER / "empty.json")
    pieces = [PIECE, {**PIECE, "first": 20, "last": 2**62, "note": ""}, {**PIECE, "partition": 4}]
    plan_file(FOLDER / "pieces.json", stage="parquet", sink="s3://b/\u00fc", rate=7, samples=210, pieces=pieces)
    plan_file(FOLDER / "backwards.json", pieces=[{**PIECE, "last": 9}])
    plan_file(FOLDER / "version.json", version=2)
    plan_file(FOLDER / "no_pieces.json", pieces=None)
    changed = signed(json.loads((FOLDER / "pieces.json").read_text()))
    (FOLDER / "changed.json").write_text(json.dumps({**changed, "rate": 8}))


if __name__ == "__main__":
    main()
