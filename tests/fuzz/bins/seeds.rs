//! Writes the seeds of a target into a folder, as the first corpus of the fuzzer.

#[path = "../seeds.rs"]
mod seeds;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, target, folder] = &arguments[..] else {
        panic!("usage: seeds TARGET FOLDER");
    };
    std::fs::create_dir_all(folder)?;
    let mut numbered = (1..).zip(seeds::of(target));
    numbered.try_for_each(|(number, seed)| std::fs::write(format!("{folder}/seed-{number}"), seed))
}
