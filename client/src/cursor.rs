//! The mouse pointer, drawn into a picture.

/// A mouse pointer, as the X server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Where its left edge is in the picture, in pixels.
    pub x: i32,
    /// Where its upper edge is.
    pub y: i32,
    /// Its width.
    pub width: u32,
    /// Its pixels row by row, each as alpha, red, green, blue from the highest byte to the lowest, the
    /// colours multiplied by alpha already.
    pub pixels: Vec<u32>,
}

impl Cursor {
    /// Draws it into a picture of `width` pixels a row, each as blue, green, red and one byte more.
    /// What lies outside is left out.
    pub fn draw(&self, picture: &mut [u8], width: u32) {
        let (Ok(own), Ok(across)) = (usize::try_from(self.width), usize::try_from(width)) else {
            return;
        };
        if own == 0 || across == 0 {
            return;
        }
        for (row, y) in self.pixels.chunks(own).zip(i64::from(self.y)..) {
            let Some(line) = usize::try_from(y).ok().and_then(|y| {
                picture
                    .get_mut(y.checked_mul(across * 4)?..)?
                    .get_mut(..across * 4)
            }) else {
                continue;
            };
            for (&pixel, x) in row.iter().zip(i64::from(self.x)..) {
                let below = usize::try_from(x)
                    .ok()
                    .and_then(|x| line.get_mut(x.checked_mul(4)?..)?.get_mut(..4));
                if let Some(below) = below {
                    blend(pixel, below);
                }
            }
        }
    }
}

fn blend(pixel: u32, below: &mut [u8]) {
    let [blue, green, red, alpha] = pixel.to_le_bytes();
    let through = 255 - u32::from(alpha);
    for (old, new) in below.iter_mut().zip([blue, green, red]) {
        let sum = u32::from(new) + u32::from(*old) * through / 255;
        *old = u8::try_from(sum).unwrap_or(u8::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_covers_what_is_below_and_lets_it_through() {
        let cursor = Cursor {
            x: 1,
            y: 0,
            width: 2,
            pixels: vec![0xff_ff_00_00, 0x00_00_00_00, 0x80_00_00_40, 0xff_00_ff_00],
        };
        let mut picture = [100; 3 * 2 * 4];
        cursor.draw(&mut picture, 3);
        let pixel = |x: usize, y: usize| &picture[(y * 3 + x) * 4..][..3];
        assert_eq!(pixel(0, 0), [100, 100, 100]);
        assert_eq!(pixel(1, 0), [0, 0, 255], "red");
        assert_eq!(pixel(2, 0), [100, 100, 100], "nothing");
        assert_eq!(pixel(1, 1), [113, 49, 49], "half of both");
        assert_eq!(pixel(2, 1), [0, 255, 0], "green");
    }

    #[test]
    fn what_lies_outside_is_left_out() {
        for (x, y) in [
            (-1, -1),
            (2, 1),
            (-9, 0),
            (0, 9),
            (i32::MAX, i32::MAX),
            (i32::MIN, 0),
        ] {
            let cursor = Cursor {
                x,
                y,
                width: 2,
                pixels: vec![u32::MAX; 4],
            };
            let mut picture = [0; 3 * 2 * 4];
            cursor.draw(&mut picture, 3);
            let drawn = picture.iter().filter(|&&byte| byte == 255).count();
            let expected = if (x, y) == (-1, -1) || (x, y) == (2, 1) {
                3
            } else {
                0
            };
            assert_eq!(drawn, expected, "{x},{y}");
        }
    }
}
