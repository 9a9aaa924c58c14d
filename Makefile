# Postern. One file, not recursive. "make help" lists what there is to make.
