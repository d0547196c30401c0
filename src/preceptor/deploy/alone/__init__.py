"""What a bundle brings to answer alone: numpy, Pillow and onnxruntime, and nothing of preceptor."""
