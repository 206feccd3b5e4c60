"""Training by the official CatBoost package, asked for by the step `rank`.

    official.py train JOB.json       trains as the job says, writes the model as JSON
    official.py convert FROM.json TO.cbm
"""
import json
import sys

try:
    import catboost
    import numpy
    import pandas
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)


class Progress:
    """A line of JSON after every tree."""

    def after_iteration(self, info):
        def last(pool):
            values = [history[-1] for history in info.metrics.get(pool, {}).values()]
            return values[0] if values else None

        told = {"trees": info.iteration, "loss": last("learn"), "validation_loss": last("validation")}
        print(json.dumps(told), flush=True)
        return True


def pool(job, path):
    arrays = numpy.load(path)
    columns = {}
    for number, feature in enumerate(job["features"]):
        values = arrays[f"feature_{number}"]
        texts = feature["texts"]
        columns[feature["name"]] = values if texts is None else pandas.Categorical.from_codes(values, texts)
    categories = [feature["name"] for feature in job["features"] if feature["texts"] is not None]
    return catboost.Pool(
        pandas.DataFrame(columns), arrays["labels"], group_id=arrays["groups"], cat_features=categories
    )


def train(job):
    rows = pool(job, job["train"])
    validation = pool(job, job["validation"]) if job["validation"] else None
    model = catboost.CatBoost(job["parameters"])
    stopping = {"early_stopping_rounds": job["early_stopping_rounds"]} if validation else {}
    model.fit(rows, eval_set=validation, callbacks=[Progress()], **stopping)
    model.save_model(job["model"], format="json", pool=rows)


if __name__ == "__main__":
    if sys.argv[1] == "train":
        with open(sys.argv[2], encoding="utf-8") as file:
            train(json.load(file))
    else:
        catboost.CatBoost().load_model(sys.argv[2], format="json").save_model(sys.argv[3])
