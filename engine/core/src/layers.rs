//! Which simulcast layer fits a tile: a pure choice over what the publisher really sends.
//!
//! Layers are ranked by the size that their key frames state, never by rid: browsers drop the
//! last rids of the list for small captures. When a slot may switch to the choice is for
//! `slot.rs`; what the receiver's link can carry will cap the choice here.

use crate::codec::Resolution;
use crate::events::LayerReason;

/// A picture may be drawn this much larger than it is before the next layer is taken, in percent.
const MAX_ENLARGEMENT: u64 = 120;

/// How large a slot is drawn, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileSize {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

impl TileSize {
    /// 0 x 0 pauses a slot.
    #[must_use]
    pub fn is_hidden(self) -> bool {
        self.width == 0 || self.height == 0
    }
}

/// What is known of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerView {
    /// Whether packets arrive.
    pub live: bool,
    /// From its last key frame.
    pub resolution: Option<Resolution>,
}

/// The layer that a slot should show, and why no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Index into the track's layers.
    pub layer: usize,
    /// `Fit`, `SmallTile` or `TheirCamera`.
    pub reason: LayerReason,
}

/// The smallest live layer that fills the tile, else the largest; `None`: nothing is live.
///
/// Without a tile size the largest is taken. A live layer that has shown no key frame yet is
/// taken only when no other is live, the last declared (smallest) first.
#[must_use]
pub fn choose(layers: &[LayerView], tile: Option<TileSize>) -> Option<Choice> {
    let mut sized: Vec<(u64, usize, Resolution)> = layers
        .iter()
        .enumerate()
        .filter(|(_, layer)| layer.live)
        .filter_map(|(index, layer)| {
            layer
                .resolution
                .map(|size| (u64::from(size.width) * u64::from(size.height), index, size))
        })
        .collect();
    sized.sort_unstable_by_key(|&(area, index, _)| (area, index));
    let Some(&(_, largest, _)) = sized.last() else {
        let layer = layers.iter().rposition(|layer| layer.live)?;
        return Some(Choice {
            layer,
            reason: LayerReason::Fit,
        });
    };
    let Some(tile) = tile else {
        return Some(Choice {
            layer: largest,
            reason: LayerReason::Fit,
        });
    };
    let filling = sized
        .iter()
        .find(|(_, _, size)| fills(*size, tile))
        .map(|entry| entry.1);
    Some(match filling {
        Some(layer) if layer == largest => Choice {
            layer,
            reason: LayerReason::Fit,
        },
        Some(layer) => Choice {
            layer,
            reason: LayerReason::SmallTile,
        },
        None => Choice {
            layer: largest,
            reason: LayerReason::TheirCamera,
        },
    })
}

/// Whether a picture that is fitted into the tile whole is hardly enlarged.
fn fills(size: Resolution, tile: TileSize) -> bool {
    let side =
        |pixels: u16, drawn: u32| u64::from(pixels) * MAX_ENLARGEMENT >= u64::from(drawn) * 100;
    // Fitted whole, the side that touches the border decides: the less enlarged one.
    side(size.width, tile.width) || side(size.height, tile.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(width: u16, height: u16) -> LayerView {
        LayerView {
            live: true,
            resolution: Some(Resolution { width, height }),
        }
    }

    fn pick(layers: &[LayerView], width: u32, height: u32) -> Option<(usize, LayerReason)> {
        choose(layers, Some(TileSize { width, height })).map(|choice| (choice.layer, choice.reason))
    }

    const DEAD: LayerView = LayerView {
        live: false,
        resolution: None,
    };
    const UNSEEN: LayerView = LayerView {
        live: true,
        resolution: None,
    };

    #[test]
    fn the_smallest_layer_that_fills_the_tile_is_taken() {
        let layers = [layer(1_280, 720), layer(640, 360), layer(320, 180)];
        assert_eq!(pick(&layers, 320, 180), Some((2, LayerReason::SmallTile)));
        assert_eq!(pick(&layers, 380, 214), Some((2, LayerReason::SmallTile)));
        assert_eq!(pick(&layers, 400, 225), Some((1, LayerReason::SmallTile)));
        assert_eq!(pick(&layers, 1_280, 720), Some((0, LayerReason::Fit)));
        assert_eq!(
            pick(&layers, 1_920, 1_080),
            Some((0, LayerReason::TheirCamera))
        );
    }

    #[test]
    fn rids_in_the_wrong_order_do_not_matter() {
        let layers = [layer(160, 120), layer(320, 240), layer(640, 480)];
        assert_eq!(pick(&layers, 640, 480), Some((2, LayerReason::Fit)));
        assert_eq!(pick(&layers, 100, 100), Some((0, LayerReason::SmallTile)));
    }

    #[test]
    fn a_portrait_picture_is_judged_by_its_height_in_a_wide_tile() {
        let layers = [layer(720, 1_280), layer(360, 640), layer(180, 320)];
        assert_eq!(pick(&layers, 640, 360), Some((2, LayerReason::SmallTile)));
    }

    #[test]
    fn dead_layers_are_passed_over_and_unseen_ones_wait() {
        let layers = [DEAD, layer(640, 360), UNSEEN];
        assert_eq!(
            pick(&layers, 1_280, 720),
            Some((1, LayerReason::TheirCamera))
        );
        assert_eq!(pick(&layers, 100, 100), Some((1, LayerReason::Fit)));
        assert_eq!(
            pick(&[UNSEEN, UNSEEN, DEAD], 1_280, 720),
            Some((1, LayerReason::Fit))
        );
        assert_eq!(pick(&[DEAD], 1_280, 720), None);
    }

    #[test]
    fn a_slot_of_unknown_size_gets_the_largest() {
        let layers = [layer(640, 360), layer(320, 180)];
        let want = Choice {
            layer: 0,
            reason: LayerReason::Fit,
        };
        assert_eq!(choose(&layers, None), Some(want));
    }
}
