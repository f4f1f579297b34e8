//! The forwarder between simulated browsers on a simulated network, in virtual time.
//!
//! Each module is named for what happens on the wire. `world` holds the clock and the links,
//! `publisher` sends like a browser (simulcast VP8 or H264, Opus with levels, RTX), `receiver`
//! receives like one (NACK, RTX, frame assembly, PLI) and checks every packet against the rules
//! that hold for a slot whatever happens.

mod publisher;
mod receiver;
mod world;

mod five_percent_loss;
mod hostile_bytes;
mod late_join;
mod layer_dies;
mod leaping_publisher;
mod lost_keyframe;
mod naive_munger;
mod publisher_restarts;
mod restless_publisher;
mod speakers_change;
mod tile_resized;
mod two_hundred_switches;
mod who_may_see;
