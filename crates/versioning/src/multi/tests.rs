//! The list keeps its rule through insertion, collection and reading; the first two tests are the
//! seed's own.

use super::*;

#[test]
fn api_version_multi_sanity() {
    let mut mav = MultiApiVersion::new();

    assert_eq!(mav.try_insert(ApiVersion { major: 2, minor: 3 }), Ok(()));

    assert_eq!(mav.get_by_major(0), None);
    assert_eq!(mav.get_by_major(2), Some(ApiVersion { major: 2, minor: 3 }));

    assert_eq!(mav.try_insert(ApiVersion { major: 2, minor: 1 }), Err(&mut 3));
    *mav.try_insert(ApiVersion { major: 2, minor: 2 })
        .expect_err("must be error, just like one line above") += 1;
    assert_eq!(mav.try_insert(ApiVersion { major: 1, minor: 2 }), Ok(()));
    assert_eq!(mav.try_insert(ApiVersion { major: 3, minor: 4 }), Ok(()));
    assert_eq!(mav.try_insert(ApiVersion { major: 2, minor: 0 }), Err(&mut 4));
    assert_eq!(mav.get_by_major(5), None);
    assert_eq!(mav.get_by_major(3), Some(ApiVersion { major: 3, minor: 4 }));
}

#[test]
fn api_version_multi_from_iter_sanity() {
    assert!(Result::<MultiApiVersion, ApiVersion>::from_iter([]).is_ok());
    assert!(Result::<MultiApiVersion, ApiVersion>::from_iter([ApiVersion { major: 0, minor: 0 }]).is_ok());
    assert!(
        Result::<MultiApiVersion, ApiVersion>::from_iter([
            ApiVersion { major: 0, minor: 1 },
            ApiVersion { major: 1, minor: 2 }
        ])
        .is_ok()
    );
    assert!(
        Result::<MultiApiVersion, ApiVersion>::from_iter([
            ApiVersion { major: 0, minor: 1 },
            ApiVersion { major: 1, minor: 2 },
            ApiVersion { major: 0, minor: 1 },
        ])
        .is_err()
    );
}

#[test]
fn versions_come_out_by_ascending_major() {
    let list = MultiApiVersion::try_from_iter([ApiVersion::new(3, 4), ApiVersion::new(1, 2)])
        .expect("two different majors");
    assert_eq!(list.iter().map(|version| version.major).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(list.iter().next_back(), Some(ApiVersion::new(3, 4)));
    assert_eq!((&list).into_iter().len(), 2);
}

#[test]
fn a_collected_duplicate_is_named() {
    let twice = [ApiVersion::new(1, 2), ApiVersion::new(0, 1), ApiVersion::new(1, 9)];
    assert_eq!(MultiApiVersion::try_from_iter(twice), Err(ApiVersion::new(1, 9)));
}

#[test]
fn a_sorted_list_that_is_not_says_which_major() {
    let read = |majors: &[u32]| {
        MultiApiVersion::try_from_sorted(majors.iter().map(|major| ApiVersion::new(*major, 0)))
            .map(|list| list.len())
    };
    assert_eq!(read(&[0, 3, 7]), Ok(3));
    assert_eq!(read(&[0, 3, 3]), Err(InvalidApiVersions::Duplicate { major: 3 }));
    assert_eq!(read(&[0, 3, 0]), Err(InvalidApiVersions::Duplicate { major: 0 }));
    assert_eq!(read(&[0, 3, 1]), Err(InvalidApiVersions::Unsorted { major: 1, after: 3 }));
}

#[test]
fn a_list_from_outside_is_bounded() {
    let versions = |count: u32| (0..count).map(|major| ApiVersion::new(major, 0));
    assert_eq!(MultiApiVersion::try_from_sorted(versions(256)).map(|list| list.len()), Ok(MAX_MAJORS));
    assert_eq!(
        MultiApiVersion::try_from_sorted(versions(257)),
        Err(InvalidApiVersions::TooMany { max: MAX_MAJORS })
    );
}
