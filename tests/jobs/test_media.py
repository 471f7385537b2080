from pathlib import Path

import cv2
import numpy as np
import pytest

from spikevision.jobs.media import Medium, count_shots, find_media, picture_writer, shots_of


def write_video(path: Path, *, frames: int = 6, code: str = "MJPG") -> Medium:
    """Grey frames that get brighter by 30 each, again from black after eight."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 12.5, (48, 32))
    for frame in range(frames):
        writer.write(np.full((32, 48, 3), 30 * (frame % 8), np.uint8))
    writer.release()
    return Medium(path, path.name)


def test_a_folder_is_searched_for_images_and_videos_and_their_names_stay_apart(tmp_path):
    for name in ("b.png", "b.jpg", "sub/film.AVI", "notes.txt", "sub/film.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    media = find_media(tmp_path)
    assert [medium.picture for medium in media] == [
        "b.jpg.png",
        "b.png",
        "sub/film.AVI.mp4",
        "sub/film.mp4",
    ]
    assert [medium.is_video for medium in media] == [False, False, True, True]


def test_frames_come_in_order_with_their_pixels(tmp_path):
    medium = write_video(tmp_path / "film.avi")
    shots = list(shots_of(medium))
    assert [shot.frame for shot in shots] == list(range(6))
    assert [shot.name for shot in shots][-1] == "film.avi/000005"
    assert [round(shot.bgr.mean() / 30) for shot in shots] == list(range(6))
    assert count_shots([medium, Medium(Path("x.png"), "x.png")]) == 7


def test_a_video_that_is_cut_off_gives_its_frames_and_then_says_where_it_ends(tmp_path):
    medium = write_video(tmp_path / "film.avi", frames=20)
    content = medium.path.read_bytes()
    medium.path.write_bytes(content[: len(content) * 3 // 4])
    seen = []
    with pytest.raises(ValueError, match=r"ends after \d+ of 20 frames"):
        seen.extend(shot.frame for shot in shots_of(medium))


def test_a_video_without_a_readable_frame_is_an_error(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"no video at all")
    with pytest.raises(ValueError, match="no frame"):
        list(shots_of(Medium(tmp_path / "film.mp4", "film.mp4")))


def test_pictures_of_a_video_become_a_video_of_the_same_rate(tmp_path):
    medium = write_video(tmp_path / "film.avi")
    with picture_writer(medium, tmp_path / "out") as write:
        for value in (10, 200):
            write(np.full((64, 80, 3), value, np.uint8))
    film = cv2.VideoCapture(str(tmp_path / "out" / "film.avi.mp4"))
    assert film.get(cv2.CAP_PROP_FPS) == 12.5
    frames = [film.read()[1] for _ in range(2)]
    assert [round(frame.mean(), -1) for frame in frames] == [10, 200]
    assert frames[0].shape == (64, 80, 3)


def test_a_picture_is_written_in_its_colours(tmp_path):
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    with picture_writer(Medium(Path("a.jpg"), "a.jpg"), tmp_path) as write:
        write(red)
    assert cv2.imread(str(tmp_path / "a.jpg.png"))[0, 0].tolist() == [0, 0, 255]
