use super::*;

fn entries() -> Vec<Entry> {
    vec![
        Entry::new("0.weight", &[2, 3], &[1.0_f32, -2.0, 0.5, 0.0, 3.25, 1e-30]),
        Entry::new("0.bias", &[2], &[0.1_f64, 0.2]),
        Entry::new("columns", &[3], &[5_u16, 6, 7]),
        Entry::new("scalar", &[], &[9_u32]),
        Entry::new("none", &[0, 4], &[] as &[f32]),
    ]
}

fn container() -> Container {
    Container::new(entries(), &serde_json::json!({"note": "a \"quoted\" word", "x": 0.1})).unwrap()
}

fn bytes() -> Vec<u8> {
    container().to_bytes("test", 1).unwrap()
}

fn parse(bytes: &[u8]) -> Result<Container, FileError> {
    Container::parse("test", 1, bytes)
}

/// A safetensors file with this header and data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

#[test]
fn comes_back_in_order_of_names() {
    let back = parse(&bytes()).unwrap();
    let mut expected = entries();
    expected.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(back.tensors, expected);
    assert_eq!(back.about::<serde_json::Value>().unwrap()["note"], "a \"quoted\" word");
    assert_eq!(back.tensor("scalar").unwrap().values::<u32>().unwrap(), [9]);
    assert!(matches!(back.tensor("absent"), Err(FileError::Mismatch(_))));
}

#[test]
fn the_same_contents_are_the_same_bytes() {
    let reversed = Container { tensors: entries().into_iter().rev().collect(), ..container() };
    assert_eq!(reversed.to_bytes("test", 1).unwrap(), bytes());
    assert_eq!(parse(&bytes()).unwrap().to_bytes("test", 1).unwrap(), bytes());
}

#[test]
fn other_files_are_told_apart() {
    assert!(matches!(Container::parse("else", 1, &bytes()), Err(FileError::Kind { found, .. }) if found == "test"));
    let later = container().to_bytes("test", 3).unwrap();
    assert!(matches!(Container::parse("test", 2, &later), Err(FileError::Version { found: 3, newest: 2 })));
    assert!(Container::parse("test", 3, &later).is_ok());
    let foreign = safetensors::serialize(entries().iter().map(|e| (e.name.clone(), e)), None).unwrap();
    assert!(matches!(parse(&foreign), Err(FileError::Foreign)));
    assert_eq!(parse_any(&foreign).unwrap().0, parse(&bytes()).unwrap().tensors);
    for text in ["", "{}", "[]", r#"{"format":"test","format_version":1}"#] {
        let metadata = Some(HashMap::from([(KEY.to_string(), text.to_string())]));
        let odd = safetensors::serialize(Vec::<(String, &Entry)>::new(), metadata).unwrap();
        assert!(matches!(parse(&odd), Err(FileError::Structure { .. })), "{text}");
    }
}

/// As Python would write it.
#[test]
fn a_file_without_a_checksum_is_taken_as_it_is() {
    let text = r#"{"format":"test","format_version":1,"library":"by hand","about":[1]}"#;
    let metadata = Some(HashMap::from([(KEY.to_string(), text.to_string())]));
    let bytes = safetensors::serialize(entries().iter().map(|e| (e.name.clone(), e)), metadata).unwrap();
    assert_eq!(parse(&bytes).unwrap().about, "[1]");
}

#[test]
fn cut_anywhere_it_is_refused() {
    let bytes = bytes();
    for n in 0..bytes.len() {
        assert!(matches!(parse(&bytes[..n]), Err(FileError::NotSafetensors(_))), "{n}");
    }
    assert!(matches!(parse(&[&bytes[..], b"x"].concat()), Err(FileError::NotSafetensors(_))));
}

/// Every bit of the file, one at a time: a file that is still read has the same contents.
#[test]
fn a_flipped_bit_is_found() {
    let (whole, mut bytes, mut refused) = (parse(&bytes()).unwrap(), bytes(), 0);
    for bit in 0..8 * bytes.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        match parse(&bytes) {
            Ok(same) => assert_eq!(same, whole, "bit {bit}"),
            Err(_) => refused += 1,
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(refused > 8 * bytes.len() * 9 / 10, "{refused}");
}

/// Sizes that overflow when they are added up, or that the file does not have.
#[test]
fn a_header_is_not_believed() {
    let huge = |count: usize| {
        let side = (1_usize << 61) - 1;
        let one = |i: usize| {
            format!(r#""{i}":{{"dtype":"U8","shape":[{side}],"data_offsets":[{},{}]}}"#, i * side, (i + 1) * side)
        };
        format!("{{{}}}", (0..count).map(one).collect::<Vec<_>>().join(","))
    };
    let headers = [
        huge(1),
        huge(8),
        r#"{"x":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}"#.into(),
        r#"{"x":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,4]}}"#.into(),
        r#"{"x":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}}"#.into(),
        r#"{"x":{"dtype":"Q9","shape":[4],"data_offsets":[0,4]}}"#.into(),
        format!("{}1", "[".repeat(100_000)),
    ];
    for header in headers {
        assert!(matches!(parse_any(&file(&header, b"1234")), Err(FileError::NotSafetensors(_))), "{header:.100}");
    }
    for size in [5, u64::MAX, u64::MAX - 7, 1 << 40] {
        let bytes = [&size.to_le_bytes()[..], b"{}"].concat();
        assert!(matches!(parse_any(&bytes), Err(FileError::NotSafetensors(_))));
    }
    assert_eq!(parse_any(&file("{}", b"")).unwrap(), (vec![], None));
}

#[test]
fn what_cannot_be_written_is_refused() {
    let refused = |tensors: Vec<Entry>| {
        let written = Container { tensors, about: "1".into() }.to_bytes("test", 1);
        assert!(matches!(written, Err(FileError::Structure { .. })), "{written:?}");
    };
    refused([entries(), entries()].concat());
    refused(vec![Entry::new("__metadata__", &[1], &[1_u8])]);
    refused(vec![Entry::new("x", &[2], &[1_u8])]);
    let about = Container { tensors: vec![], about: "{".into() };
    assert!(matches!(about.to_bytes("test", 1), Err(FileError::Structure { .. })));
}

#[test]
fn errors_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    assert!(matches!(Container::read(&path, "test", 1), Err(FileError::Read { .. })));
    container().write(&path, "test", 1).unwrap();
    assert_eq!(Container::read(&path, "test", 1).unwrap(), parse(&bytes()).unwrap());
    let error = Container::read(&path, "else", 1).unwrap_err();
    assert!(matches!(error.problem(), FileError::Kind { .. }));
    assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    assert!(matches!(read(&path, 10).unwrap_err().problem(), FileError::TooLarge { limit: 10 }));
    let under = path.join("a file is no folder");
    assert!(matches!(container().write(&under, "test", 1), Err(FileError::Write { .. })));
}
