"""What "postern read" says otherwise than a capture's source, oracle.json, tshark or tcpflow, and why ours is right."""

# {capture: (number of the packet that is damaged, what is wrong with it)}
DAMAGED = {
    "peafowl/imap.cap": (9, "corrupt on purpose: its header says that there are 1,358,954,496 octets"),
}

# {capture: {pattern of a disagreement: why ours is right}}
DIFFERENT = {
}
