"""Keys and passwords are hidden wherever they come: whole, cut, encoded, in addresses, settings and records of runs."""

import base64
import json
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from command_line import CONFIGS
from wandb_file import runs_in

from ood_lightning.cli.main import main
from ood_lightning.masking import mask_of, masked

KEY = "sk-SECRET+0123/456789=abcdef"
ENCODER = str(CONFIGS / "encoders" / "pictograms.yaml")
ADDRESS = "https://me:hunter22@127.0.0.1/s/{000..001}.tar?signature=0123456789"


@pytest.mark.parametrize(
    "echo",
    [
        KEY,
        KEY[:14],  # cut by the server
        KEY[-9:],
        KEY.lower(),
        quote(KEY, safe=""),
        base64.b64encode(KEY.encode()).decode(),
        base64.b64encode(f"user:{KEY}".encode()).decode(),
        base64.urlsafe_b64encode(f"me:{KEY}".encode()).decode(),
        KEY.encode().hex(),
        "".join(f"\\u{ord(letter):04x}" for letter in KEY),
        "".join(f"%{ord(letter):02X}" for letter in KEY),
    ],
)
def test_a_key_is_hidden_in_every_form(echo: str):
    text = mask_of(KEY)(f"you sent: {echo}, thank you")
    assert text.startswith("you sent: ")
    assert text.endswith(", thank you")
    assert not any(echo[i : i + 8] in text for i in range(len(echo) - 7))


def test_other_text_stays_as_it_is():
    text = "No, 'sk' is the beginning of many words, such as skate: \0 İ"
    assert mask_of(KEY)(text) == mask_of("")(text) == mask_of("no")(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://example.org/a.tar", "https://example.org/a.tar"),
        ("hf:me/set@main/x-{000..001}.tar", "hf:me/set@main/x-{000..001}.tar"),
        ("s3://key:pw@bucket/a", "s3://***@bucket/a"),
        (f"cannot read '{ADDRESS}'", "cannot read 'https://***@127.0.0.1/s/{000..001}.tar?***'"),
        ("pipe:curl -u me:pw https://h/a?b=c", "pipe:curl -u *** https://h/a?***"),
        ("pipe:curl -H 'Authorization: Bearer 0123456789' h", "pipe:curl -H 'Authorization: Bearer ***' h"),
        ("pipe:get --token=0123 --api-key 4567 x.tar", "pipe:get --token=*** --api-key *** x.tar"),
        ("pipe:curl -ume:pw --proxy-user me:pw -b s=1 h", "pipe:curl -u*** --proxy-user *** -b *** h"),
        (
            "pipe:AWS_SECRET_ACCESS_KEY='p w' PAT=1 aws s3 cp s3://b/x -",
            "pipe:AWS_SECRET_ACCESS_KEY=*** PAT=*** aws s3 cp s3://b/x -",
        ),
        ("pipe:sshpass -p pw ssh h cat x.tar", "pipe:sshpass -p *** ssh h cat x.tar"),
        ("pipe:curl -H 'Cookie: a=b; c=d' -s h", "pipe:curl -H 'Cookie: ***' -s h"),
        ("pipe:curl -H 'Accept: x/y' h", "pipe:curl -H 'Accept: x/y' h"),
        ("pipe:tar --sort=name -cf - /data/{00..09}", "pipe:tar --sort=name -cf - /data/{00..09}"),
        ("HTTPS://h/a?b=c https://h/a#t=1 https://h/a#part", "HTTPS://h/a?*** https://h/a#*** https://h/a#part"),
        ("a photo of a token: gold", "a photo of a token: gold"),
    ],
)
def test_addresses_and_commands(text: str, expected: str):
    assert masked(text) == expected


def test_print_config_hides_them(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["embed", "--encoder", ENCODER, "--shards", ADDRESS, "s3://bucket/sound", "--print_config"])
    out = capsys.readouterr().out
    assert "hunter22" not in out
    assert "0123456789" not in out
    assert "https://***@127.0.0.1" in out
    assert "s3://bucket/sound" in out


def test_a_refusal_of_settings_hides_them(capsys: pytest.CaptureFixture[str]):
    assert main(["embed", "--encoder", ENCODER, "--num_workers", ADDRESS]) == 2
    error = capsys.readouterr().err
    assert "num_workers" in error
    assert "hunter22" not in error
    assert "0123456789" not in error


@pytest.mark.slow  # a whole command
def test_nothing_that_a_run_records_holds_them(eval_yaml: Path, sets: Path, monkeypatch: pytest.MonkeyPatch):
    """`config.yaml`, loggers' files, and W&B's, which also records the process's arguments."""
    wandb = CONFIGS / "with_wandb.yaml"
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["data"]["init_args"]["id_shards"] = [f"pipe:cat {sets}/id_test/id_test-000000.tar # --token hunter22"]
    eval_yaml.write_text(yaml.safe_dump(settings))
    monkeypatch.setattr(sys, "argv", [*sys.argv[:1], f"--data={ADDRESS}"])
    main(["test", "--config", str(eval_yaml), "--config", str(wandb)])

    assert runs_in(Path("run/eval"))
    files = [path for path in Path("run").rglob("*") if path.is_file()]
    assert any(path.name == "config.yaml" and "--token ***" in path.read_text() for path in files)
    holding = [str(path) for path in files if b"hunter22" in path.read_bytes() or b"0123456789" in path.read_bytes()]
    assert not holding, json.dumps(holding)
