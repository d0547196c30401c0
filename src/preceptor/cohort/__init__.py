"""Who teaches whom: networks, the transfers between them, and the stages that train them."""
