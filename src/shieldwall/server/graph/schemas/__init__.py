"""The shapes of Graph resources as schemas of the API's description, one module beside each module that shapes them."""
