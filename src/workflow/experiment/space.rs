//! The space of an experiment: settings written down, combined or drawn, each point a variant.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::halving::Halving;
use crate::workflow::digest::Digest;

/// Variants of one experiment; more are a slip of the pen.
const MOST_VARIANTS: usize = 10_000;

/// Characters of a variant's name.
const LONGEST_NAME: usize = 80;

/// Settings to try. Parts that are given together are combined, each point of one with each of the others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Space {
    /// Values of each parameter, combined in every way: `als.factors: [32, 64]`. A parameter is `STEP.PARAMETER`,
    /// or `vars.NAME` for a variable of the pipeline.
    pub grid: BTreeMap<String, Vec<Json>>,
    /// Settings one by one: `- { als.factors: 32, als.alpha: 1 }`.
    pub list: Vec<BTreeMap<String, Json>>,
    /// Settings drawn by chance.
    pub random: Option<Random>,
    /// A little for every setting, more for those that do best with it.
    pub successive_halving: Option<Halving>,
}

/// Settings drawn by chance; the same seed draws the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Random {
    /// How many settings to draw.
    #[schemars(range(min = 1, max = 10000))]
    pub samples: usize,
    /// Other seeds draw other settings.
    #[serde(default)]
    pub seed: u64,
    /// What each parameter is drawn from.
    pub parameters: BTreeMap<String, Distribution>,
}

/// What a parameter is drawn from: exactly one of these.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Distribution {
    /// One of these values, each as likely.
    pub choice: Option<Vec<Json>>,
    /// Real numbers from the first to the second, each as likely.
    pub uniform: Option<[f64; 2]>,
    /// Positive real numbers from the first to the second, each magnitude as likely.
    pub log_uniform: Option<[f64; 2]>,
    /// Whole numbers from the first to the second, both included.
    pub integer: Option<[i64; 2]>,
}

/// One point of the space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Made of its values: `factors=64,alpha=1`.
    pub name: String,
    /// Values by parameter.
    pub values: BTreeMap<String, Json>,
}

impl Variant {
    /// Itself with one value more, for one rung of an experiment with [`Halving`].
    #[must_use]
    pub fn with(&self, path: &str, value: &Json) -> Self {
        let mut values = self.values.clone();
        values.insert(path.to_owned(), value.clone());
        let last = path.rsplit('.').next().unwrap_or(path);
        Self { name: format!("{},{last}={}", self.name, shown(value)), values }
    }
}

impl Space {
    /// The variants, each once, in the order of the file; and how many settings were equal to an earlier one.
    ///
    /// # Errors
    /// When there are none or too many, a parameter is given twice, or a distribution is not one.
    pub fn variants(&self) -> Result<(Vec<Variant>, usize), String> {
        let mut parts: Vec<Vec<BTreeMap<String, Json>>> = Vec::new();
        for (path, values) in &self.grid {
            if values.is_empty() {
                return Err(format!("`grid` has no value for `{path}`: list at least one"));
            }
            parts.push(values.iter().map(|value| [(path.clone(), value.clone())].into()).collect());
        }
        if !self.list.is_empty() {
            parts.push(self.list.clone());
        }
        if let Some(random) = &self.random {
            parts.push(random.draw()?);
        }
        if parts.is_empty() {
            return Err("`space` has no settings: give `grid`, `list` or `random`".to_owned());
        }
        let size = parts.iter().try_fold(1usize, |size, part| size.checked_mul(part.len()));
        if size.is_none_or(|size| size > MOST_VARIANTS) {
            return Err(format!("`space` has more than {MOST_VARIANTS} variants: draw some with `random`"));
        }
        let mut points: Vec<BTreeMap<String, Json>> = vec![BTreeMap::new()];
        for part in &parts {
            let mut longer = Vec::with_capacity(points.len() * part.len());
            for point in &points {
                for values in part {
                    if let Some(path) = values.keys().find(|path| point.contains_key(*path)) {
                        return Err(format!("`{path}` is given twice in `space`"));
                    }
                    longer.push(point.iter().chain(values).map(|(k, v)| (k.clone(), v.clone())).collect());
                }
            }
            points = longer;
        }
        let (mut seen, all) = (BTreeSet::new(), points.len());
        points.retain(|point| seen.insert(Json::from_iter(point.clone()).to_string()));
        let equal = all - points.len();
        Ok((named(points), equal))
    }
}

impl Random {
    fn draw(&self) -> Result<Vec<BTreeMap<String, Json>>, String> {
        if self.parameters.is_empty() {
            return Err("`random` has no `parameters`".to_owned());
        }
        let mut generator = Pcg64Mcg::seed_from_u64(self.seed);
        let mut draw_one = |_| {
            let drawn = self.parameters.iter().map(|(path, distribution)| {
                let value = distribution.draw(&mut generator);
                value.map(|value| (path.clone(), value)).map_err(|error| format!("`{path}`: {error}"))
            });
            drawn.collect()
        };
        (0..self.samples).map(&mut draw_one).collect()
    }
}

impl Distribution {
    fn draw(&self, generator: &mut Pcg64Mcg) -> Result<Json, String> {
        let ordered = |low: f64, high: f64| {
            if low.is_finite() && high.is_finite() && low < high {
                Ok(())
            } else {
                Err(format!("the range [{low}, {high}] is empty: write the smaller number first"))
            }
        };
        match self {
            Self { choice: Some(values), uniform: None, log_uniform: None, integer: None } => {
                if values.is_empty() {
                    return Err("`choice` has no values".to_owned());
                }
                Ok(values[generator.random_range(0..values.len())].clone())
            }
            Self { choice: None, uniform: Some([low, high]), log_uniform: None, integer: None } => {
                ordered(*low, *high)?;
                Ok(rounded(generator.random_range(*low..*high)))
            }
            Self { choice: None, uniform: None, log_uniform: Some([low, high]), integer: None } => {
                ordered(*low, *high)?;
                if *low <= 0.0 {
                    return Err(format!("`log_uniform` needs positive numbers, found {low}"));
                }
                Ok(rounded(generator.random_range(low.ln()..high.ln()).exp()))
            }
            Self { choice: None, uniform: None, log_uniform: None, integer: Some([low, high]) } => {
                if low > high {
                    return Err(format!(
                        "the range [{low}, {high}] is empty: write the smaller number first"
                    ));
                }
                Ok(generator.random_range(*low..=*high).into())
            }
            _ => Err("give exactly one of `choice`, `uniform`, `log_uniform`, `integer`".to_owned()),
        }
    }
}

/// Four digits are enough for a setting that was drawn, and are read more easily.
fn rounded(value: f64) -> Json {
    format!("{value:.3e}").parse::<f64>().unwrap_or(value).into()
}

fn named(points: Vec<BTreeMap<String, Json>>) -> Vec<Variant> {
    // The last part of a path says enough where no other path ends alike.
    let paths: BTreeSet<&String> = points.iter().flat_map(BTreeMap::keys).collect();
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let shared: Vec<String> = paths.iter().map(|path| last(path)).collect();
    let key = |path: &str| {
        let short = last(path);
        if shared.iter().filter(|other| **other == short).count() == 1 { short } else { path.to_owned() }
    };
    let mut taken = BTreeSet::new();
    let mut variants = Vec::with_capacity(points.len());
    for values in points {
        let parts: Vec<String> =
            values.iter().map(|(path, value)| format!("{}={}", key(path), shown(value))).collect();
        let mut name: String = parts.join(",").chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        if name.chars().count() > LONGEST_NAME || taken.contains(&name) {
            let whole = Digest::of(Json::from_iter(values.clone()).to_string().as_bytes()).to_string();
            name =
                name.chars().take(LONGEST_NAME - 9).chain("~".chars()).chain(whole.chars().take(8)).collect();
        }
        taken.insert(name.clone());
        variants.push(Variant { name, values });
    }
    variants
}

/// Whether a character may stand in the name of a step and of a folder.
fn is_plain(character: char) -> bool {
    character.is_alphanumeric() || "=,._-+".contains(character)
}

/// A value as people write it.
pub fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(yaml: &str) -> Space {
        let json = crate::workflow::yaml::Node::parse(yaml).unwrap().to_json();
        serde_json::from_value(json).unwrap()
    }

    fn names(yaml: &str) -> Vec<String> {
        space(yaml).variants().unwrap().0.into_iter().map(|variant| variant.name).collect()
    }

    #[test]
    fn a_grid_combines_in_every_way_and_a_list_stands_as_it_is() {
        let grid = "grid: { als.factors: [32, 64], vars.raw: [a, b/c] }";
        assert_eq!(
            names(grid),
            ["factors=32,raw=a", "factors=32,raw=b_c", "factors=64,raw=a", "factors=64,raw=b_c"]
        );
        let list = "list: [{ als.alpha: 1.5 }, { als.alpha: 2, bpr.factors: 8 }]";
        assert_eq!(names(list), ["alpha=1.5", "alpha=2,factors=8"]);
        let both = "grid: { als.factors: [8, 16] }\nlist: [{ bpr.factors: 1 }, { bpr.factors: 2 }]";
        assert_eq!(names(both).len(), 4);
        assert_eq!(names(both)[0], "als.factors=8,bpr.factors=1");
    }

    #[test]
    fn equal_settings_are_one_variant_and_long_names_are_cut() {
        let equal = "list: [{ a.b: 1 }, { a.b: 1 }, { a.b: 1.5 }]";
        assert_eq!(names(equal), ["b=1", "b=1.5"]);
        assert_eq!(space(equal).variants().unwrap().1, 1);
        let long = names(&format!("grid: {{ a.b: [{0}x, {0}y] }}", "word".repeat(40)));
        assert!(long[0] != long[1] && long[0].len() <= LONGEST_NAME, "{long:?}");
        let alike = names("grid: { a.b: [a/b, a_b] }");
        assert!(alike[0] != alike[1], "{alike:?}");
    }

    #[test]
    fn draws_are_repeatable_and_within_their_ranges() {
        let random = "random: { samples: 50, seed: 3, parameters: { als.alpha: { log_uniform: [0.001, 10] }, \
                      als.factors: { choice: [8, 16] }, als.iterations: { integer: [3, 5] }, \
                      als.regularization: { uniform: [0, 1] } } }";
        let (drawn, _) = space(random).variants().unwrap();
        assert_eq!(drawn, space(random).variants().unwrap().0);
        assert_eq!(drawn.len(), 50);
        let number = |variant: &Variant, path: &str| variant.values[path].as_f64().unwrap();
        for variant in &drawn {
            assert!((0.001..=10.0).contains(&number(variant, "als.alpha")));
            assert!((0.0..=1.0).contains(&number(variant, "als.regularization")));
            assert!([3, 4, 5].contains(&variant.values["als.iterations"].as_i64().unwrap()));
        }
        // Half of the magnitudes of [0.001, 10] lie below 0.1.
        let small = drawn.iter().filter(|variant| number(variant, "als.alpha") < 0.1).count();
        assert!((15..=35).contains(&small), "{small}");
    }

    #[test]
    fn what_is_no_space_says_why() {
        for (yaml, words) in [
            ("{}", "`space` has no settings"),
            ("grid: { a.b: [] }", "no value for `a.b`"),
            ("grid: { a.b: [1] }\nlist: [{ a.b: 2 }]", "`a.b` is given twice"),
            ("random: { samples: 1, parameters: {} }", "has no `parameters`"),
            ("random: { samples: 1, parameters: { a.b: {} } }", "exactly one of"),
            ("random: { samples: 1, parameters: { a.b: { uniform: [2, 1] } } }", "the smaller number first"),
            (
                "random: { samples: 1, parameters: { a.b: { log_uniform: [0, 1] } } }",
                "needs positive numbers",
            ),
            ("random: { samples: 1, parameters: { a.b: { choice: [] } } }", "`choice` has no values"),
        ] {
            let error = space(yaml).variants().unwrap_err();
            assert!(error.contains(words), "{yaml}: {error}");
        }
        let list: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let list = list.join(", ");
        let error = space(&format!("grid: {{ a.b: [{list}], a.c: [{list}] }}")).variants().unwrap_err();
        assert!(error.contains("more than 10000 variants"), "{error}");
    }
}
