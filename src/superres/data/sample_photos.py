"""The colour photographs that come with scikit-image and matplotlib, for a first run offline."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import matplotlib
import skimage

from superres.core.errors import SuperresError
from superres.core.storage import replacing_folder, write_bytes

SCIKIT_IMAGE = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
MATPLOTLIB = ("grace_hopper.jpg",)


def copy_photographs(folder: str | Path) -> dict[str, int]:
    """Fill a folder with the bundled photographs, byte for byte, and return how many there are.

    The files are read from the installed packages. `skimage.data` is left alone: it downloads
    what it does not find.

    Raises:
        SuperresError: an installed package lacks one of them.
    """
    sources = bundled_files()
    with replacing_folder(folder) as new:
        for source in sources:
            write_bytes(new / source.name, source.read_bytes())
    return {"photographs": len(sources)}


def bundled_files() -> list[Path]:
    """Return where the photographs are installed, sorted by file name.

    Raises:
        SuperresError: an installed package lacks one of them.
    """
    scikit_image = Path(skimage.__file__).parent / "data"
    samples = Path(matplotlib.get_data_path()) / "sample_data"
    files = [
        *(_present(scikit_image / name, "scikit-image") for name in SCIKIT_IMAGE),
        *(_present(samples / name, "matplotlib") for name in MATPLOTLIB),
    ]
    return sorted(files, key=lambda file: file.name)


def _present(file: Path, package: str) -> Path:
    if not file.is_file():
        raise SuperresError(
            f"{file}: not found; the installed {package} {version(package)} lacks it. "
            "Install the pinned version, or set data.source to a folder of your own."
        )
    return file
