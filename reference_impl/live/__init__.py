"""The live side: sockets, their messages, and what happens to agents because of them."""
