//! What endpoints and their consoles say of them, compared with what rings offer.
