//! Names beside marks, if there is room for them.

use super::pen::{Anchor, TEXT_PX, text_px};

/// The left, top, right and bottom of an area.
pub(super) type Area = [f64; 4];

/// The position of a name: the baseline of its text.
pub(super) type Place = ((f64, f64), Anchor);

/// A mark, and the two ends of its error bar.
pub(super) type Mark = ((f64, f64), [f64; 2]);

/// A place for each name beside its mark. Right, left, above and below are tried in this order; `None` if every place
/// would cover something.
pub(super) fn places(marks: &[Mark], names: &[&str], mut taken: Vec<Area>, inside: Area) -> Vec<Option<Place>> {
    let mut place = |(((x, y), [from, to]), name): (&Mark, &&str)| {
        let (before, after) = (from.min(x - 4.0) - 5.0, to.max(x + 4.0) + 5.0);
        let width = text_px(name, TEXT_PX);
        let tries = [
            ((after, y + 4.3), Anchor::Start, after),
            ((before, y + 4.3), Anchor::End, before - width),
            ((x + 9.0, y - 9.0), Anchor::Start, x + 9.0),
            ((x - 9.0, y - 9.0), Anchor::End, x - 9.0 - width),
            ((x + 9.0, y + 18.0), Anchor::Start, x + 9.0),
            ((x - 9.0, y + 18.0), Anchor::End, x - 9.0 - width),
        ];
        tries.into_iter().find_map(|(foot, anchor, left)| {
            let area = [left, foot.1 - 10.0, left + width, foot.1 + 3.0];
            let free = contains(inside, area) && !taken.iter().any(|other| overlap(*other, area));
            free.then(|| taken.push(area)).map(|()| (foot, anchor))
        })
    };
    marks.iter().zip(names).map(&mut place).collect()
}

fn contains(a: Area, b: Area) -> bool {
    a[0] <= b[0] && a[1] <= b[1] && b[2] <= a[2] && b[3] <= a[3]
}

fn overlap(a: Area, b: Area) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_goes_where_nothing_is() {
        let inside = [0.0, 0.0, 200.0, 100.0];
        let at = |marks: &[(f64, f64)], taken: &[Area]| -> Vec<Option<(f64, f64)>> {
            let names = vec!["name"; marks.len()];
            let marks: Vec<Mark> = marks.iter().map(|at| (*at, [at.0, at.0 + 1.0])).collect();
            places(&marks, &names, taken.to_vec(), inside)
                .into_iter()
                .map(|place| place.map(|(foot, _)| foot))
                .collect()
        };
        assert_eq!(at(&[(50.0, 50.0)], &[]), [Some((59.0, 54.3))]);
        assert_eq!(at(&[(190.0, 50.0)], &[]), [Some((181.0, 54.3))], "to the left at the right side");
        assert_eq!(at(&[(50.0, 50.0)], &[[55.0, 45.0, 90.0, 55.0]]), [Some((41.0, 54.3))]);
        assert_eq!(at(&[(50.0, 50.0)], &[inside]), [None]);
    }

    proptest! {
        #[test]
        fn no_two_names_overlap(marks in prop::collection::vec((0.0_f64..200.0, 0.0_f64..100.0), 0..9)) {
            let marks: Vec<Mark> = marks.into_iter().map(|(x, y)| ((x, y), [x - 2.0, x + 9.0])).collect();
            let (names, width) = (vec!["Sparse VD"; marks.len()], text_px("Sparse VD", TEXT_PX));
            let area = |((x, y), anchor): Place| {
                let left = if matches!(anchor, Anchor::End) { x - width } else { x };
                [left, y - 10.0, left + width, y + 3.0]
            };
            let placed = places(&marks, &names, Vec::new(), [0.0, 0.0, 200.0, 100.0]);
            let areas: Vec<Area> = placed.into_iter().flatten().map(area).collect();
            for (i, a) in areas.iter().enumerate() {
                prop_assert!(areas[..i].iter().all(|b| !overlap(*a, *b)), "{:?}", areas);
            }
        }
    }
}
