//! Target statistics in the file: what makes their keys, and the counts of the keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Number;

use super::format::{CtrData, CtrEntry, ElementEntry, Identifier, KeyOrCount};
use crate::models::boosting::ctr::{Ctr, CtrKind, CtrTable, Element};

/// Where the package writes no key.
const EMPTY_SLOT: u64 = u64::MAX;

const KINDS: [(&str, CtrKind); 6] = [
    ("Borders", CtrKind::Borders),
    ("Buckets", CtrKind::Buckets),
    ("Counter", CtrKind::Counter),
    ("FeatureFreq", CtrKind::FeatureFreq),
    ("BinarizedTargetMeanValue", CtrKind::BinarizedTargetMeanValue),
    ("FloatTargetMeanValue", CtrKind::FloatTargetMeanValue),
];

fn name(kind: CtrKind) -> &'static str {
    KINDS.iter().find(|entry| entry.1 == kind).expect("every kind has a name").0
}

/// Entry and table of a CTR; `position` numbers a column among the columns of its kind.
pub(super) fn encode(
    ctr: &Ctr,
    borders: Vec<f64>,
    position: &[usize],
    tables: &mut BTreeMap<String, CtrData>,
) -> CtrEntry {
    let elements: Vec<ElementEntry> = ctr.projection.iter().map(|&e| encode_element(e, position)).collect();
    let ctr_type = name(ctr.kind);
    let identifier = serde_json::to_string(&Identifier { identifier: &elements, r#type: ctr_type })
        .expect("names and numbers are always JSON");
    tables.entry(identifier.clone()).or_insert_with(|| encode_table(&ctr.table));
    CtrEntry {
        borders,
        ctr_type: ctr_type.to_owned(),
        elements,
        identifier,
        prior_denomerator: ctr.prior_denominator.into(),
        prior_numerator: ctr.prior.into(),
        scale: ctr.scale.into(),
        shift: ctr.shift.into(),
        target_border_idx: ctr.target_border,
    }
}

fn encode_element(element: Element, position: &[usize]) -> ElementEntry {
    let at = Some(position[element.feature()]);
    let entry = |combination_element: &str| ElementEntry {
        border: None,
        cat_feature_index: at,
        combination_element: combination_element.to_owned(),
        float_feature_index: None,
        value: None,
    };
    match element {
        Element::Category(_) => entry("cat_feature_value"),
        Element::Is { value, .. } => {
            ElementEntry { value: Some(value as i32), ..entry("cat_feature_exact_value") }
        }
        Element::Above { border, .. } => ElementEntry {
            border: Some(border.into()),
            cat_feature_index: None,
            float_feature_index: at,
            ..entry("float_feature")
        },
    }
}

fn encode_table(table: &CtrTable) -> CtrData {
    // In the order of the keys, so that equal models are equal bytes.
    let keys: BTreeMap<u64, u32> = table.keys.iter().map(|(&key, &at)| (key, at)).collect();
    let mut hash_map = Vec::with_capacity(keys.len() * (table.width + 1));
    for (key, at) in keys {
        hash_map.push(KeyOrCount::Key(key.to_string()));
        let start = at as usize * table.width;
        hash_map.extend(table.counts[start..start + table.width].iter().map(|&count| {
            let whole = count.fract() == 0.0 && count.abs() < 2f64.powi(53);
            let number = if whole { Some((count as i64).into()) } else { Number::from_f64(count) };
            KeyOrCount::Count(number.unwrap_or_else(|| 0.into()))
        }));
    }
    CtrData { counter_denominator: table.denominator, hash_map, hash_stride: table.width + 1 }
}

/// The tables by their identifiers.
pub(super) fn decode_tables(
    data: BTreeMap<String, CtrData>,
) -> Result<BTreeMap<String, Arc<CtrTable>>, String> {
    let tables = data.into_iter().map(|(identifier, data)| {
        let table =
            decode_table(&data).map_err(|message| format!("`ctr_data` of {identifier}: {message}"))?;
        Ok((identifier, Arc::new(table)))
    });
    tables.collect()
}

fn decode_table(data: &CtrData) -> Result<CtrTable, String> {
    let stride = data.hash_stride;
    if stride < 2 || !data.hash_map.len().is_multiple_of(stride) {
        return Err(format!("{} entries do not divide into `hash_stride` {stride}", data.hash_map.len()));
    }
    let mut table =
        CtrTable { width: stride - 1, denominator: data.counter_denominator, ..CtrTable::default() };
    for entry in data.hash_map.chunks(stride) {
        let key = match &entry[0] {
            KeyOrCount::Key(key) => key.parse::<u64>().ok(),
            KeyOrCount::Count(number) => number.as_u64(),
        };
        let key = key.ok_or("expected a key of 64 bits as text")?;
        if key == EMPTY_SLOT {
            continue;
        }
        table.keys.insert(key, (table.counts.len() / table.width) as u32);
        for count in &entry[1..] {
            let KeyOrCount::Count(count) = count else {
                return Err(format!("expected a number after key {key}, found text"));
            };
            table.counts.push(count.as_f64().unwrap_or(0.0));
        }
    }
    Ok(table)
}

/// A CTR; `floats` and `categories` hold the columns of the features of each kind.
pub(super) fn decode(
    entry: &CtrEntry,
    tables: &BTreeMap<String, Arc<CtrTable>>,
    floats: &[usize],
    categories: &[usize],
) -> Result<Ctr, String> {
    let kind = KINDS.iter().find(|known| known.0 == entry.ctr_type).map(|known| known.1);
    let kind = kind.ok_or_else(|| format!("unknown `ctr_type`: `{}`", entry.ctr_type))?;
    let table = tables.get(&entry.identifier).ok_or("`ctr_data` has no such table")?;
    let enough = match kind {
        CtrKind::Borders => entry.target_border_idx + 1 < table.width,
        CtrKind::Buckets => entry.target_border_idx < table.width,
        CtrKind::Counter | CtrKind::FeatureFreq => table.width == 1,
        CtrKind::BinarizedTargetMeanValue | CtrKind::FloatTargetMeanValue => table.width == 2,
    };
    if !enough {
        return Err(format!(
            "the table has {} numbers for a key, which does not fit `{}`",
            table.width, entry.ctr_type
        ));
    }
    let projection: Result<Vec<Element>, String> =
        entry.elements.iter().map(|element| decode_element(element, floats, categories)).collect();
    Ok(Ctr {
        projection: projection?,
        kind,
        target_border: entry.target_border_idx,
        prior: entry.prior_numerator as f32,
        prior_denominator: entry.prior_denomerator as f32,
        shift: entry.shift as f32,
        scale: entry.scale as f32,
        table: table.clone(),
    })
}

fn decode_element(entry: &ElementEntry, floats: &[usize], categories: &[usize]) -> Result<Element, String> {
    let column = |columns: &[usize], index: Option<usize>| {
        let column = index.and_then(|index| columns.get(index)).copied();
        column.ok_or_else(|| format!("`{}` names no feature of the model", entry.combination_element))
    };
    Ok(match (entry.combination_element.as_str(), entry.border, entry.value) {
        ("cat_feature_value", ..) => Element::Category(column(categories, entry.cat_feature_index)?),
        ("cat_feature_exact_value", _, Some(value)) => {
            Element::Is { feature: column(categories, entry.cat_feature_index)?, value: value as u32 }
        }
        ("float_feature", Some(border), _) => {
            Element::Above { feature: column(floats, entry.float_feature_index)?, border: border as f32 }
        }
        (other, ..) => return Err(format!("unknown `combination_element`: `{other}`")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ctr(kind: CtrKind, counts: Vec<f64>) -> Ctr {
        let width = counts.len() / 2;
        let keys = [(7, 0), (u64::MAX - 1, 1)].into_iter().collect();
        Ctr {
            projection: vec![Element::Category(1), Element::Above { feature: 0, border: 0.5 }],
            kind,
            target_border: 0,
            prior: 0.5,
            prior_denominator: 1.0,
            shift: 0.0,
            scale: 15.0,
            table: Arc::new(CtrTable { width, keys, counts, denominator: 3.0 }),
        }
    }

    #[test]
    fn statistics_read_back_as_they_were() {
        for ctr in [
            ctr(CtrKind::Borders, vec![1.0, 2.0, 3.0, 4.0]),
            ctr(CtrKind::Counter, vec![1.0, 2.0]),
            ctr(CtrKind::FloatTargetMeanValue, vec![0.25, 2.0, 1.5, 4.0]),
        ] {
            let mut data = BTreeMap::new();
            let entry = encode(&ctr, vec![1.0], &[0, 0], &mut data);
            let tables = decode_tables(data).unwrap();
            assert_eq!(decode(&entry, &tables, &[0], &[1]).unwrap(), ctr);
        }
    }

    #[test]
    fn the_identifier_is_that_of_the_package() {
        let only = Ctr { projection: vec![Element::Category(1)], ..ctr(CtrKind::Borders, vec![0.0; 4]) };
        let entry = encode(&only, vec![], &[0, 0], &mut BTreeMap::new());
        let expected = r#"{"identifier":[{"cat_feature_index":0,"combination_element":"cat_feature_value"}],"type":"Borders"}"#;
        assert_eq!(entry.identifier, expected);
    }

    #[test]
    fn statistics_that_contradict_themselves_are_refused() {
        let fresh = || {
            let mut data = BTreeMap::new();
            (encode(&ctr(CtrKind::Borders, vec![1.0; 4]), vec![1.0], &[0, 0], &mut data), data)
        };
        let (entry, mut data) = fresh();
        data.values_mut().for_each(|data| data.hash_map.truncate(5));
        assert!(decode_tables(data).unwrap_err().contains("5 entries do not divide into `hash_stride` 3"));
        let (_, mut data) = fresh();
        data.values_mut().for_each(|data| data.hash_map[0] = KeyOrCount::Key("x".to_owned()));
        assert!(decode_tables(data).unwrap_err().contains("expected a key of 64 bits"));

        let error = |change: &dyn Fn(&mut CtrEntry)| {
            let (mut entry, data) = fresh();
            change(&mut entry);
            decode(&entry, &decode_tables(data).unwrap(), &[0], &[1]).unwrap_err()
        };
        assert_eq!(error(&|entry| entry.ctr_type = "New".to_owned()), "unknown `ctr_type`: `New`");
        assert_eq!(error(&|entry| entry.identifier.clear()), "`ctr_data` has no such table");
        assert!(error(&|entry| entry.target_border_idx = 1).contains("does not fit `Borders`"));
        assert!(error(&|entry| entry.elements[0].cat_feature_index = Some(3)).contains("names no feature"));
        assert!(decode(&entry, &BTreeMap::new(), &[0], &[1]).is_err());
    }
}
