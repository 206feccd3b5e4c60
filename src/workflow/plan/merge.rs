//! Several plans as one: steps that would make the same are one step.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::{Plan, PlannedInput, PlannedStep, Source, graph_of};
use crate::workflow::digest::Digest;

/// Plans of variants, merged.
pub struct Merged {
    /// One plan of all. A step that all variants share has its own name, another `step@variant`, named after the
    /// first variant that has it.
    pub plan: Plan,
    /// For each variant, the position in the merged plan of each of its steps by name.
    pub positions: Vec<BTreeMap<String, usize>>,
}

/// What tells steps apart: equal steps make the same.
type Key = (Digest, Vec<(String, From)>, Vec<usize>, Vec<String>);

#[derive(PartialEq, Eq, Hash)]
enum From {
    Step(usize, String),
    File(PathBuf),
}

/// The plan of one variant.
pub struct VariantPlan {
    /// What its own steps are named after.
    pub name: String,
    /// All of its pipeline.
    pub plan: Plan,
    /// The steps that take part; with each, all that it reads.
    pub wanted: BTreeSet<usize>,
}

impl Plan {
    /// Merges the plans of variants, of each the steps that are wanted; outputs are released under `folder`, a
    /// folder for each step. `path` is the file that is to blame.
    ///
    /// Steps keep their positions and names when more variants are added at the end, unless a step that all had
    /// is not that of the new ones.
    pub fn merge(name: String, path: &Path, folder: &Path, variants: &[VariantPlan]) -> Merged {
        let tracking = variants.first().and_then(|variant| variant.plan.tracking.clone());
        let mut steps: Vec<PlannedStep> = Vec::new();
        let mut known: HashMap<Key, usize> = HashMap::new();
        let mut first_of: Vec<usize> = Vec::new();
        let mut positions = Vec::with_capacity(variants.len());
        for (number, VariantPlan { plan, wanted, .. }) in variants.iter().enumerate() {
            let mut places = vec![None; plan.steps.len()];
            let mut own = BTreeMap::new();
            for &old in wanted {
                let step = &plan.steps[old];
                let mut dependencies: Vec<usize> =
                    step.dependencies.iter().filter_map(|&before| places[before]).collect();
                dependencies.sort_unstable();
                let mut inputs = step.inputs.clone();
                for input in &mut inputs {
                    if let Source::Step { step, .. } = &mut input.source {
                        *step = places[*step].expect("what is wanted comes with all that it reads");
                    }
                }
                let new = *known.entry(key(step, &inputs, &dependencies)).or_insert(steps.len());
                places[old] = Some(new);
                own.insert(step.name.clone(), new);
                if new == steps.len() {
                    steps.push(PlannedStep { dependencies, inputs, ..step.clone() });
                    first_of.push(number);
                }
            }
            positions.push(own);
        }
        let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
        rename(&mut steps, &first_of, &names, &positions);
        for step in &mut steps {
            for output in &mut step.outputs {
                let mut file = output.port.clone();
                if let Some(extension) = output.path.extension() {
                    file = format!("{file}.{}", extension.to_string_lossy());
                }
                output.path = folder.join(&step.name).join(file);
            }
        }
        let graph = graph_of(&steps);
        let mut plan = Self { name, path: path.to_owned(), tracking, steps, graph };
        // A step that tells of others knows them by name.
        for position in
            (0..plan.steps.len()).filter(|&position| plan.steps[position].kind.lineage).collect::<Vec<_>>()
        {
            plan.steps[position].definition = plan.definition(position).digest();
        }
        Merged { plan, positions }
    }
}

fn key(step: &PlannedStep, inputs: &[PlannedInput], dependencies: &[usize]) -> Key {
    let from = |input: &PlannedInput| match &input.source {
        Source::Step { step, port } => From::Step(*step, port.clone()),
        Source::File(path) => From::File(path.clone()),
    };
    let inputs = inputs.iter().map(|input| (input.label(), from(input))).collect();
    let outputs = step.outputs.iter().map(|output| output.port.clone()).collect();
    (step.definition, inputs, dependencies.to_vec(), outputs)
}

/// A step that is one for all variants keeps its name, unless another one has it as well.
fn rename(
    steps: &mut [PlannedStep],
    first_of: &[usize],
    variants: &[&str],
    positions: &[BTreeMap<String, usize>],
) {
    let mut uses: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let mut n_uses = vec![0; steps.len()];
    for (name, &position) in positions.iter().flatten() {
        uses.entry(name).or_default().insert(position);
        n_uses[position] += 1;
    }
    for (position, step) in steps.iter_mut().enumerate() {
        let is_shared = n_uses[position] >= variants.len() && uses[step.name.as_str()].len() == 1;
        if !is_shared {
            step.group = Some(step.group.take().unwrap_or_else(|| step.name.clone()));
            step.name = format!("{}@{}", step.name, variants[first_of[position]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::spec::{Overrides, Spec};
    use crate::workflow::values::Scope;

    const PIPELINE: &str = "\
steps:
  make: { outputs: { out: a.txt }, run: 'echo a > {{ outputs.out }}' }
  fit:
    inputs: { data: make.out }
    outputs: { model: b.txt }
    run: 'cat {{ inputs.data }} {{ vars.size }} > {{ outputs.model }}'
  judge: { inputs: { model: fit.model }, outputs: { out: c.txt }, run: 'cp {{ inputs.model }} {{ outputs.out }}' }
  other: { inputs: { data: make.out }, outputs: { out: d.txt }, run: 'cp {{ inputs.data }} {{ outputs.out }}' }
vars: { size: 1 }
";

    fn plan(size: usize) -> Plan {
        let overrides = Overrides { vars: vec![format!("size={size}")], ..Overrides::default() };
        let spec =
            Spec::parse(Path::new("p.yaml"), PIPELINE, Scope::with_environment([]), &overrides).unwrap();
        Plan::new(&spec, crate::steps::KINDS, Path::new("/")).unwrap()
    }

    #[test]
    fn what_is_the_same_is_one_step_and_the_rest_is_named_after_its_variant() {
        let variants = [1, 2, 1].iter().enumerate().map(|(number, &size)| {
            let plan = plan(size);
            let wanted = plan.before(plan.position("judge").unwrap());
            VariantPlan { name: format!("v{number}"), plan, wanted }
        });
        let variants: Vec<VariantPlan> = variants.collect();
        let Merged { plan, positions } =
            Plan::merge("all".to_owned(), Path::new("e.yaml"), Path::new("out"), &variants);
        let names: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["make", "fit@v0", "judge@v0", "fit@v1", "judge@v1"]);
        assert_eq!(positions[0], positions[2]);
        assert_eq!(positions[1]["judge"], 4);
        assert_eq!(plan.steps[4].dependencies, [3]);
        assert_eq!(plan.steps[4].outputs[0].path, Path::new("out/judge@v1/out.txt"));
        assert_eq!(plan.positions("fit").unwrap(), [1, 3]);
        // Steps depend on the same as in their own pipeline, so that results are found in the store.
        assert_eq!(plan.definition(1).digest(), self::plan(1).definition(1).digest());
    }
}
