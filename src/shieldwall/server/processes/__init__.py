"""How a server runs: the processes that it consists of, who starts them, and who watches over them."""
