"""What can be said in a recipe and to a data source, as pages and as a JSON Schema, from the code itself."""

from preceptor.reference.recipe_page import recipe_page
from preceptor.reference.schema import recipe_schema
from preceptor.reference.sources_page import source_rows, sources_page

__all__ = ["recipe_page", "recipe_schema", "source_rows", "sources_page"]
