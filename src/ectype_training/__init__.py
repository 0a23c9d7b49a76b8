"""Training and exporting descriptor models, with PyTorch; Ectype itself never imports this package."""
