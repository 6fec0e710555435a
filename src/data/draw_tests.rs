use super::*;

/// Sorted by class; each input is its example's number.
fn table(sizes: &[usize]) -> Dataset {
    let labels: Vec<usize> = sizes.iter().enumerate().flat_map(|(class, size)| vec![class; *size]).collect();
    let inputs = (0..labels.len()).map(|i| i as f32).collect();
    Dataset::new("wine", [1, 1, 1], sizes.len(), inputs, labels).unwrap()
}

/// The numbers of examples, sorted.
fn numbers(parts: &[&Dataset]) -> Vec<usize> {
    let mut all: Vec<usize> = parts.iter().flat_map(|part| part.inputs()).map(|x| *x as usize).collect();
    all.sort_unstable();
    all
}

/// 40 of 178: 13.26, 15.96 and 10.79.
#[test]
fn a_sorted_table_is_judged_by_all_its_classes() {
    let wine = table(&[59, 71, 48]);
    let split = wine.split(40, 0).unwrap();
    assert_eq!(split.test().class_counts(), [13, 16, 11]);
    assert_eq!(split.train().class_counts(), [46, 55, 37]);
    assert_eq!(numbers(&[split.train(), split.test()]), Vec::from_iter(0..178));
    assert!(split.test().labels().windows(2).any(|two| two[0] > two[1]), "still sorted");
    assert_eq!((split.train().name(), split.train().classes()), ("wine", 3));
}

#[test]
fn labels_stay_with_their_inputs() {
    let wine = table(&[59, 71, 48]);
    let check = |part: &Dataset| (0..part.len()).all(|i| wine.label(part.input(i)[0] as usize) == part.label(i));
    let split = wine.split(0.3, 5).unwrap();
    assert!(check(split.train()) && check(split.test()) && check(&wine.take(9, 5).unwrap()));
    assert!(wine.folds(3, 5).unwrap().all(|fold| check(fold.train()) && check(fold.test())));
}

#[test]
fn a_fraction_is_rounded_to_a_count() {
    let wine = table(&[59, 71, 48]);
    assert_eq!(wine.split(0.2, 1).unwrap(), wine.split(36, 1).unwrap()); // 35.6
    assert_eq!(wine.take(1.0, 1).unwrap().len(), 178);
    assert_ne!(wine.split(0.2, 1).unwrap(), wine.split(0.2, 2).unwrap());
}

#[test]
fn each_example_is_judged_once_by_folds() {
    let wine = table(&[59, 71, 48]);
    let folds = wine.folds(5, 2).unwrap();
    assert_eq!(folds.len(), 5);
    let folds: Vec<_> = folds.collect();
    assert_eq!(numbers(&folds.iter().map(Split::test).collect::<Vec<_>>()), Vec::from_iter(0..178));
    for fold in &folds {
        assert_eq!(numbers(&[fold.train(), fold.test()]), Vec::from_iter(0..178));
        assert!(fold.test().class_counts().iter().zip([59, 71, 48]).all(|(n, all)| n.abs_diff(all / 5) <= 1));
    }
    assert_eq!(folds, wine.folds(5, 2).unwrap().collect::<Vec<_>>());
    assert_ne!(folds, wine.folds(5, 3).unwrap().collect::<Vec<_>>());
}

#[test]
fn a_class_too_small_is_named_with_its_count() {
    let told = |refused: Result<(), DataError>| refused.unwrap_err().to_string();
    let one = table(&[5, 1, 9]);
    assert!(matches!(one.split(4, 0), Err(DataError::Rare { class: 1, have: 1, needs: 2, .. })));
    assert!(told(one.split(4, 0).map(drop)).starts_with("wine: 1 example of class 1; a split needs at least 2"));
    assert!(matches!(
        table(&[5, 4, 9]).folds(5, 0).map(drop),
        Err(DataError::Rare { class: 1, have: 4, needs: 5, .. })
    ));
    // A gap in the labels, and a very large number of classes.
    let gap = Dataset::new("gap", [1, 1, 1], 3, vec![0.0; 4], vec![0, 0, 2, 2]).unwrap();
    assert!(matches!(gap.split(2, 0), Err(DataError::Rare { class: 1, have: 0, .. })));
    assert!(told(gap.split(2, 0).map(drop)).starts_with("gap: no example of class 1;"));
    assert_eq!(gap.take(2, 0).unwrap().class_counts(), [1, 0, 1]);
    let vast = Dataset::new("vast", [1, 1, 1], usize::MAX, vec![0.0; 2], vec![0, 0]).unwrap();
    assert!(matches!(vast.split(1, 0), Err(DataError::Rare { class: 1, have: 0, .. })));
}

#[test]
fn counts_out_of_range_are_refused_with_the_range() {
    let wine = table(&[59, 71, 48]);
    for n in [0, 2, 176, 178, 179, usize::MAX] {
        let refused = wine.split(n, 0);
        assert!(matches!(refused, Err(DataError::Share { count, least: 3, most: 175, .. }) if count == n));
    }
    assert!(wine.split(3, 0).is_ok() && wine.split(175, 0).is_ok());
    for fraction in [0.0, 0.001, 1.0, 1.5, -0.2, f64::NAN, f64::INFINITY] {
        assert!(matches!(wine.split(fraction, 0), Err(DataError::Share { .. })), "{fraction}");
    }
    let told = wine.split(0.001, 0).unwrap_err().to_string();
    assert_eq!(
        told,
        "wine: asked for a fraction of 0.001, 0 of 178 examples; 3 to 175 can be held out, so that each half has every class"
    );
    for n in [0, 2, 179] {
        assert!(matches!(wine.take(n, 0), Err(DataError::Share { least: 3, most: 178, .. })), "{n}");
    }
    assert!([0, 1].into_iter().all(|k| matches!(wine.folds(k, 0).map(drop), Err(DataError::Folds { .. }))));
}

#[test]
fn select_keeps_the_order_given() {
    let wine = table(&[2, 2]);
    let picked = wine.select([3, 0, 3]).unwrap();
    assert_eq!((picked.inputs(), picked.labels()), (&[3.0, 0.0, 3.0][..], &[1, 0, 1][..]));
    assert!(matches!(wine.select([0, 4]), Err(DataError::Index { index: 4, have: 4, .. })));
    assert!(matches!(wine.select([]), Err(DataError::Empty { .. })));
}
