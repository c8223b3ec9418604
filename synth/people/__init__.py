"""Built-in people: clothed 3D persons rendered with numpy and OpenCV, no download needed."""
