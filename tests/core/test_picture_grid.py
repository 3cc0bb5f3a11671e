import subprocess
import sys

import numpy as np

from superres.core.picture_grid import lay_out


def picture(level):
    return np.full((2, 3, 3), level, np.uint8)


def test_pictures_stand_in_rows_with_white_between():
    sheet = lay_out([[picture(1), picture(2)], [picture(3)]], gap=1)
    assert sheet[..., 0].tolist() == [
        [1, 1, 1, 255, 2, 2, 2],
        [1, 1, 1, 255, 2, 2, 2],
        [255] * 7,
        [3, 3, 3, 255, 255, 255, 255],
        [3, 3, 3, 255, 255, 255, 255],
    ]


def test_margins_and_a_canvas_with_something_on_it():
    sheet = lay_out([[picture(1)]], gap=4, top=1, left=2)
    assert sheet.shape == (3, 5, 3) and (sheet[1:, 2:] == 1).all()
    assert (sheet[0] == 255).all() and (sheet[:, :2] == 255).all()
    canvas = np.zeros((4, 6, 3), np.uint8)
    assert lay_out([[picture(9)]], 4, 1, 2, canvas) is canvas
    assert (canvas[1:3, 2:5] == 9).all() and canvas.sum() == 2 * 3 * 3 * 9


def test_bare_grids_need_no_matplotlib():
    code = "import sys, superres.core.picture_grid; raise SystemExit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
