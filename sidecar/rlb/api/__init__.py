"""HTTP over the Unix socket: the socket itself, the protocol that guards it, routes and problem documents."""
