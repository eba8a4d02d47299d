"""Write lesson/policy_gradients.ipynb from its Python file, executed, with pictures: `make notebooks`."""

from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

SOURCE = Path(__file__).parent.parent / "lesson" / "policy_gradients.py"
TIMEOUT = 900  # seconds a cell: the first training compiles


def main() -> None:
    """Execute the cells in their order, and write the notebook beside its source."""
    notebook = jupytext.read(SOURCE, fmt="py:percent")
    place = {"metadata": {"path": SOURCE.parent}}
    client = NotebookClient(
        notebook, timeout=TIMEOUT, kernel_name="python3", resources=place, record_timing=False, coalesce_streams=True
    )
    client.execute()
    drop_chance(notebook)
    path = SOURCE.with_suffix(".ipynb")
    nbformat.write(notebook, path)
    print(f"{path}: {len(notebook.cells)} cells, {path.stat().st_size / 1e6:.2f} MB")


def drop_chance(notebook: nbformat.NotebookNode) -> None:
    """Remove what differs from run to run or from machine to machine: random ids, versions, notices on stderr."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for k, cell in enumerate(notebook.cells):
        cell.id = f"cell-{k}"
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]


if __name__ == "__main__":
    main()
