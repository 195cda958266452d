"""How fast this machine is: a scan's stages beside the machine's own ceilings."""
