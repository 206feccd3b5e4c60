//! The flagship from end to end: raw files from a bucket, and what was made of them back into it.

use std::path::Path;

use crate::project::{Project, shared};
use crate::s3_servers::{KEY, SECRET, seaweedfs};

/// What lies below `recsys/` in the end, under the names that other systems look for.
const UPLOADED: [&str; 14] = [
    "data/events.parquet",
    "data/items.parquet",
    "model/als_model.npz",
    "model/bpr_model.npz",
    "model/catboost_ranker.json",
    "model/item2item_model.npz",
    "pictures/feature_importances.png",
    "pictures/top_genres.png",
    "pictures/top_tracks.png",
    "pictures/user_activity.png",
    "recommendations/personal_als.parquet",
    "recommendations/recommendations.parquet",
    "recommendations/similar.parquet",
    "recommendations/top_popular.parquet",
];

#[test]
fn the_flagship_goes_from_download_to_upload() {
    let (Some(raw), Some(bucket)) = (shared("data/movielens_100k"), seaweedfs()) else { return };
    let project = Project::new();
    for file in ["pipelines/music.yaml", "configs/movielens_100k.yaml"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        project.write(file, &text);
    }
    let (endpoint, name) = (bucket.endpoint(), bucket.name());
    project.write(
        ".env",
        &format!(
            "S3_BUCKET_NAME={name}\nS3_ENDPOINT_URL={endpoint}\nAWS_ACCESS_KEY_ID={KEY}\nAWS_SECRET_ACCESS_KEY={SECRET}\n"
        ),
    );
    for file in ["tracks.parquet", "catalog_names.parquet", "interactions.parquet"] {
        let (from, to) = (raw.join(file).display().to_string(), bucket.address(&format!("raw/{file}")));
        let copied = project.call(&["storage", "copy", &from, &to]);
        assert_eq!(copied.code, 0, "{}", copied.stderr);
    }
    let from = format!("raw={}", bucket.address("raw"));
    let run = ["--config", "configs/movielens_100k.yaml", "--var", &from];
    project.run(&run).says("14 of them had changed");
    let entries = bucket.remote("recsys").list().unwrap();
    let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, UPLOADED.map(|name| format!("recsys/{name}")));
    project.run(&run).says("nothing to do");
}
