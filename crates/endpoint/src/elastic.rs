//! A stand-in for Elastic Endpoint towards a mirror.
