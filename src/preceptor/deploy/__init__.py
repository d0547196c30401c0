"""A student at work: answers on new images, and a bundle that gives them without preceptor."""
