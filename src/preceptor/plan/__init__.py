"""What a run is to do, as values: networks, who teaches whom with which loss, and the stages that train them."""
