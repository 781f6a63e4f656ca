"""State dict, torch.export and ONNX give one score and one verdict."""

import copy
import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

import mri_guard
from mri_guard import bundle
from mri_guard.anomaly import ModelConfig, Vae, VaeConfig, VaeScorer
from mri_guard.bundle import BundleConfig, Calibration, PolicyConfig
from mri_guard.cli import app
from mri_guard.determinism import generator
from mri_guard.errors import BundleError, DigestError, SettingsError, UnfitModelError
from mri_guard.export import TOLERANCE, NetworkFormat, folder, load, parity, programs, write
from mri_guard.journey import Kit
from mri_guard.preprocess import Preprocess
from mri_guard.preprocess.brain_mask import network
from mri_guard.records import Contrast, Preprocessed
from tests.services.test_demo import inner_head
from tests.toys import any_heads, plain_fusion, toy_brain, wide_limits, with_lesion

CONFIG = VaeConfig(
    model=ModelConfig(channels=(8, 8, 16), latents=(2, 0, 4), groups=4), smallest_slice_px=20
)
"""Three levels, so that sides are padded to a multiple of four; one path is cut."""

BOTH = list(NetworkFormat)


def toy(name: str, slices: int, side: int) -> Preprocessed:
    return toy_brain(generator(0, "export", name), slices, side)


def scans() -> dict[str, Preprocessed]:
    healthy = toy("healthy", 10, 48)
    return {
        "healthy": healthy,
        "lesioned": with_lesion(healthy, 2.0, 6.0)[0],
        "dark lesion": with_lesion(toy("dark", 12, 48), -1.5, 6.0)[0],
        "one slice": toy("one", 1, 40),
        "one more than a batch": toy("remainder", 17, 33),
        "odd sides": toy("odd", 7, 51),
    }


SCANS = scans()


@contextmanager
def kit_of(vae_config: VaeConfig) -> Iterator[Kit]:
    """Of a model that has learnt nothing; its threshold lies between healthy and lesioned."""
    statistics = plain_fusion(spread=0.2).tensors()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = Vae(vae_config.model).state_dict()
    scorer = VaeScorer.from_tensors(vae_config, state, statistics)
    between = (scorer(SCANS["healthy"]).score + scorer(SCANS["lesioned"]).score) / 2
    heads = {key: torch.from_numpy(some) for key, some in any_heads().arrays().items()}
    parts = {"vae": state, "healthy": statistics, "brain": network().state_dict(), "heads": heads}
    config = BundleConfig(
        name="test",
        version="1",
        contrasts=(Contrast.FLAIR,),
        vae=vae_config,
        policy=PolicyConfig(),
        seed=0,
    )
    calibration = Calibration(
        healthy_scores={"toys": (between,) * 60},
        detectors={"feature_squeezing": (0.0,) * 100},
        voxels=wide_limits(),
    )
    tensors = {
        f"{part}.{key}": value for part, some in parts.items() for key, value in some.items()
    }
    with bundle.assemble(config, tensors, calibration, "ab" * 32) as assembled:
        yield assembled


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    with kit_of(CONFIG) as made:
        yield made


@dataclass(frozen=True)
class Exported:
    kit: Kit
    folder: Path

    def scorer(self, format: NetworkFormat) -> VaeScorer:
        return vae(load(self.folder, format, self.kit))


def vae(kit: Kit) -> VaeScorer:
    assert isinstance(kit.scorer, VaeScorer)
    return kit.scorer


@pytest.fixture(scope="module")
def exported(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    out = tmp_path_factory.mktemp("export") / "made"
    write(kit, out, BOTH, [SCANS["healthy"]])
    return Exported(kit, out)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets how many threads PyTorch has; ends with as many as before."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("format", BOTH)
def test_gives_the_score_and_the_verdict_of_the_bundle(
    exported: Exported, format: NetworkFormat
) -> None:
    there, verdicts = exported.scorer(format), {}
    for name, scan in SCANS.items():
        wanted, seen = vae(exported.kit)(scan), there(scan)
        assert seen.score == pytest.approx(wanted.score, rel=1e-4), name
        assert np.allclose(seen.slice_scores, wanted.slice_scores, rtol=1e-4, equal_nan=True), name
        assert np.abs(seen.reconstruction - wanted.reconstruction).max() < 1e-4, name
        calibrate = exported.kit.calibrate
        verdicts[name] = calibrate(seen.score).unusual
        assert calibrate(wanted.score).unusual == verdicts[name], name
    assert verdicts["lesioned"]
    assert not verdicts["healthy"]


@pytest.mark.parametrize("format", BOTH)
def test_gives_that_score_on_any_number_of_threads(
    exported: Exported, format: NetworkFormat, threads: Callable[[int], None]
) -> None:
    scan = SCANS["one slice"]
    threads(1)
    wanted = vae(exported.kit)(scan).score
    for count in (1, 2, 3):
        threads(count)
        assert exported.scorer(format)(scan).score == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("format", BOTH)
def test_measures_parity_well_inside_its_tolerance(
    exported: Exported, format: NetworkFormat
) -> None:
    found = parity(
        vae(exported.kit), exported.scorer(format), SCANS.values(), exported.kit.calibrate
    )
    assert found.scans == len(SCANS)
    assert found.score < TOLERANCE / 5
    assert found.map < TOLERANCE / 5


def test_gives_them_in_three_dimensions_too(tmp_path: Path) -> None:
    deep = CONFIG.model_copy(update={"model": CONFIG.model.model_copy(update={"dimensions": 3})})
    with kit_of(deep) as kit:
        record = write(kit, tmp_path, BOTH, [SCANS["healthy"]])
        assert [port.shape for port in (*record.inputs, *record.outputs)] == [
            ("slices", 3, "x", "y"),
            ("slices", 3, 3, "x", "y"),
            ("slices", 3, "x", "y"),
        ]
        for format in BOTH:
            exported = vae(load(tmp_path, format, kit))
            found = parity(vae(kit), exported, SCANS.values(), kit.calibrate)
            assert found.score < TOLERANCE / 5


def test_writes_down_what_goes_in_and_out_and_what_it_wrote(exported: Exported) -> None:
    record = json.loads((exported.folder / "export.json").read_text())
    assert record["bundle_digest"] == exported.kit.bundle_digest
    for file in record["files"].values():
        content = (exported.folder / file["name"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
    graph = onnx.load(exported.folder / "network.onnx").graph
    for ports, described in ((graph.input, record["inputs"]), (graph.output, record["outputs"])):
        seen = [
            (port.name, [d.dim_param or d.dim_value for d in port.type.tensor_type.shape.dim])
            for port in ports
        ]
        assert seen == [(port["name"], port["shape"]) for port in described]


@pytest.mark.parametrize("name", ["network.pt2", "network.onnx"])
def test_tells_nothing_of_the_machine_it_was_made_on(exported: Exported, name: str) -> None:
    content = (exported.folder / name).read_bytes()
    assert b"stem" in content
    for place in (Path(mri_guard.__file__).parent, Path(torch.__file__).parent, Path.home()):
        assert str(place).encode() not in content


def test_same_bundle_gives_the_same_bytes(exported: Exported) -> None:
    model = vae(exported.kit).model
    assert isinstance(model, Vae)
    again = programs.program(model)
    assert list(again.range_constraints) == sorted(again.range_constraints, key=str)
    for format, name in folder.FILES.items():
        assert programs.to_bytes(again, format) == (exported.folder / name).read_bytes()


@pytest.mark.parametrize("key", ["stem.weight", "posterior.0.bias", "decode.2.conv1.conv.weight"])
def test_notices_one_changed_weight(kit: Kit, key: str) -> None:
    changed = copy.deepcopy(vae(kit).model)
    changed.state_dict()[key].view(-1)[0] += 0.05
    with pytest.raises(UnfitModelError, match="differs by"):
        parity(vae(kit), replace(vae(kit), model=changed), SCANS.values(), kit.calibrate)


class Altered(torch.nn.Module):
    """The network, with something done to what it restores."""

    def __init__(self, model: torch.nn.Module, change: Callable[[torch.Tensor], torch.Tensor]):
        super().__init__()
        self.model, self.change = model, change

    def forward(self, window: torch.Tensor, position: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.change(self.model(window, position)[0]),)


def test_notices_values_that_are_no_numbers(kit: Kit) -> None:
    broken = Altered(vae(kit).model, lambda restored: restored * torch.nan)
    with pytest.raises(UnfitModelError, match="nan"):
        parity(vae(kit), replace(vae(kit), model=broken), SCANS.values(), kit.calibrate)


def test_notices_another_verdict_though_the_scores_are_close(kit: Kit) -> None:
    scan = SCANS["lesioned"]
    nearly = replace(vae(kit), model=Altered(vae(kit).model, lambda restored: restored * 1.00005))
    scores = vae(kit)(scan).score, nearly(scan).score
    assert scores[0] != scores[1]
    assert scores[1] == pytest.approx(scores[0], rel=1e-4)
    between = replace(kit.calibrate, threshold=min(scores))  # type: ignore[type-var]
    parity(vae(kit), nearly, [scan], kit.calibrate)
    with pytest.raises(UnfitModelError, match="decides otherwise on 1 of 1"):
        parity(vae(kit), nearly, [scan], between)


def test_writes_nothing_when_the_network_was_exported_in_training_mode(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learning(model: Vae) -> torch.export.ExportedProgram:
        return programs.program(copy.deepcopy(model).train())

    monkeypatch.setattr(folder, "program", learning)
    with pytest.raises(UnfitModelError, match="differs by"):
        write(kit, tmp_path / "out", [NetworkFormat.TORCH], [SCANS["healthy"]])
    assert not (tmp_path / "out").exists()


def test_leaves_the_network_as_it_was(kit: Kit, exported: Exported) -> None:
    model = vae(kit).model
    assert not model.training
    assert vae(kit)(SCANS["healthy"]).score == vae(exported.kit)(SCANS["healthy"]).score


def test_torch_program_has_the_gradient_of_the_network(exported: Exported) -> None:
    one, other = vae(exported.kit), exported.scorer(NetworkFormat.TORCH)
    window = torch.rand(2, 3, 12, 20, generator=torch.Generator().manual_seed(0))
    gradients = []
    for scorer in (one, other):
        leaf = window.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(scorer.model(leaf, window)[0].sum(), leaf)
        gradients.append(gradient)
    assert gradients[0].abs().max() > 0
    assert torch.allclose(gradients[0], gradients[1], atol=1e-5)


def test_refuses_sides_it_was_not_made_for(exported: Exported) -> None:
    network = exported.scorer(NetworkFormat.TORCH).model
    odd = torch.zeros(1, 3, 14, 16)
    with pytest.raises(RuntimeError, match=r"of the form 4\*"):
        network(odd, odd)


@pytest.mark.parametrize("format", BOTH)
def test_refuses_a_changed_file(exported: Exported, format: NetworkFormat, tmp_path: Path) -> None:
    for file in exported.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / folder.FILES[format]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DigestError, match=path.name):
        load(tmp_path, format, exported.kit)
    path.unlink()
    with pytest.raises(DigestError, match="cannot be read"):
        load(tmp_path, format, exported.kit)


def test_refuses_the_export_of_another_bundle(exported: Exported) -> None:
    other = replace(exported.kit, bundle_digest="cd" * 32)
    with pytest.raises(DigestError, match="of the bundle abab"):
        load(exported.folder, NetworkFormat.ONNX, other)


def test_refuses_a_format_that_was_not_written(exported: Exported, tmp_path: Path) -> None:
    record = json.loads((exported.folder / "export.json").read_text())
    del record["files"]["onnx"]
    (tmp_path / "export.json").write_text(json.dumps(record))
    with pytest.raises(DigestError, match=r"lists no network\.onnx"):
        load(tmp_path, NetworkFormat.ONNX, exported.kit)
    (tmp_path / "export.json").write_text("{}")
    with pytest.raises(BundleError, match=r"export\.json"):
        load(tmp_path, NetworkFormat.ONNX, exported.kit)


def test_unpickles_nothing(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("unpickled")

    for module, name in ((torch, "load"), (pickle, "loads"), (pickle, "load")):
        monkeypatch.setattr(module, name, refuse)
    exported.scorer(NetworkFormat.TORCH)


def _repacked(content: bytes, changes: dict[str, bytes]) -> bytes:
    """The zip file with other contents, or further parts, where the end of a name says so."""
    buffer, used = io.BytesIO(), set()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for part in old.namelist():
            ending = next((ending for ending in changes if part.endswith(ending)), None)
            used.add(ending)
            new.writestr(part, old.read(part) if ending is None else changes[ending])
        for ending in changes.keys() - used:
            new.writestr(f"archive/{ending}", changes[ending])
    return buffer.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"sample_inputs/model.pt": pickle.dumps(())},
        {"data/weights/model.pt": pickle.dumps({})},
        {"data/constants/model.pt": pickle.dumps({})},
        {"data/constants/opaque_obj_0": pickle.dumps(1)},
        {"weights/model_weights_config.json": b'{"config": {"x": {"use_pickle": true}}}'},
        {"weights/model_weights_config.json": b"{}"},
        {"serialized_state_dict.pt": pickle.dumps({})},
    ],
    ids=["inputs", "old weights", "old constants", "object", "marked", "unmarked", "oldest"],
)
def test_refuses_a_program_with_a_pickle_in_it(
    exported: Exported, changes: dict[str, bytes]
) -> None:
    content = (exported.folder / "network.pt2").read_bytes()
    programs.refuse_pickles(_repacked(content, {}))
    with pytest.raises(BundleError):
        programs.from_bytes(_repacked(content, changes), NetworkFormat.TORCH)


def test_refuses_what_is_no_program() -> None:
    with pytest.raises(BundleError, match=r"not a torch\.export program"):
        programs.from_bytes(b"\x80\x04pickle", NetworkFormat.TORCH)


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_says_what_to_install_for_onnx(
    exported: Exported, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(SettingsError, match=r"mri-guard\[onnx\]"):
        write(exported.kit, tmp_path / "out", BOTH, [SCANS["healthy"]])
    assert not (tmp_path / "out").exists()


def test_exports_by_the_command_line(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thick = replace(kit, preprocess=Preprocess(inner_head))
    monkeypatch.setattr(bundle, "load", lambda _: thick)
    command = ["export", "--out", str(tmp_path), "--format", "torch", "--json"]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 0, ran.stderr
    (file,) = json.loads(ran.stdout)["files"].values()
    assert file["parity"]["scans"] == 2
    assert file["parity"]["score"] < TOLERANCE
    assert (tmp_path / "network.pt2").exists()
    assert not (tmp_path / "network.onnx").exists()
    vae(load(tmp_path, NetworkFormat.TORCH, kit))(SCANS["odd sides"])
    assert CliRunner().invoke(app, [*command, "--contrast", "T2"]).exit_code == 2
