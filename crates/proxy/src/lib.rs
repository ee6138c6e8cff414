//! Proxy mode and the wanted list: what endpoints ask for and is not held is fetched once, proven, kept, learned.
