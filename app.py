"""Build the page and serve it: `python app.py`."""

from mmdemo.ui.app import launch

if __name__ == "__main__":
    launch()
