"""The native build: `isp_meta._ops` (C++ and, where nvcc is found, CUDA) and `isp_meta._payload`.

One knob: ISP_META_CUDA=0 leaves the CUDA kernels out, ISP_META_CUDA=1 fails where nvcc is missing.
Building them needs neither a GPU nor a CUDA build of torch.
"""

import os
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pybind11
import torch
from setuptools import Extension, setup
from torch.utils.cpp_extension import BuildExtension

CSRC = Path("csrc")
CXX_FLAGS = ["-std=c++20", "-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]
CXX_FLAGS += ["-Wall", "-Wextra", "-fvisibility=hidden"]
NVCC_FLAGS = ["-std=c++20", "-O3", "-Xcompiler=-fPIC,-Wall,-Wextra,-fvisibility=hidden"]
# Machine code for three generations, PTX so that those between and after them can run as well.
GENERATIONS = (80, 90, 120)


def ask_nvcc(nvcc: Path, *arguments: str) -> tuple[bool, str]:
    """Whether nvcc takes these arguments, and what it says."""
    command = [nvcc, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode == 0, done.stdout + done.stderr


def known_generations(nvcc: Path) -> list[int]:
    """Those that nvcc compiles for: an old one knows not all, and before 12.0 no C++20."""
    modern, _ = ask_nvcc(nvcc, "-std=c++20", "--dryrun", "-x", "cu", "-")
    _, known = ask_nvcc(nvcc, "--list-gpu-arch")
    return [n for n in GENERATIONS if modern and f"compute_{n}" in known.split()]


def find_nvcc() -> tuple[Path, list[int]] | None:
    """nvcc and what it compiles for, or None to build without CUDA; says which and why."""
    wish = os.environ.get("ISP_META_CUDA", "")
    if wish not in ("", "0", "1"):
        raise SystemExit(f"ISP_META_CUDA must be 0 or 1, not {wish!r}")
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    path = os.pathsep.join([f"{home}/bin", os.environ["PATH"]])
    nvcc = None if wish == "0" else shutil.which("nvcc", path=path)
    known = known_generations(Path(nvcc)) if nvcc else []
    if known:
        print(f"isp_meta: CUDA kernels built by {nvcc} for {', '.join(f'sm_{n}' for n in known)}")
        return Path(nvcc), known
    reason = f"{nvcc} is too old: 12.0 is the first with C++20" if nvcc else "no nvcc found"
    if wish == "1":
        raise SystemExit(f"ISP_META_CUDA=1, but {reason}")
    print(f"isp_meta: CUDA kernels left out ({'ISP_META_CUDA=0' if wish else reason})")
    return None


def cudart_flags(nvcc: Path) -> list[str]:
    """Links the CUDA runtime statically, from where nvcc itself would take it."""
    _, plan = ask_nvcc(nvcc, "--dryrun", "-x", "cu", "-")
    libraries = next(line for line in plan.splitlines() if "LIBRARIES=" in line)
    folders = shlex.split(libraries.split("LIBRARIES=")[1])
    return [*folders, "-lcudart_static", "-ldl", "-lrt", "-lpthread"]


def ops_extension() -> Extension:
    """The torch operators: one binary serves torch 2.10 and later, and Python 3.10 and later.

    They keep to LibTorch's stable ABI and Python's; pybind11, and so the coder, has no stable one.
    """
    home = Path(torch.__file__).parent
    extension = Extension(
        "isp_meta._ops",
        sorted(str(s) for s in CSRC.rglob("*.cpp") if s.parent.name != "payload"),
        define_macros=[("TORCH_TARGET_VERSION", "0x020a000000000000"), ("USE_CUDA", None)],
        py_limited_api=True,
        extra_compile_args=[*CXX_FLAGS, f"-I{CSRC.resolve()}", f"-isystem{home / 'include'}"],
        library_dirs=[str(home / "lib")],
        # A CUDA build of torch hangs its CUDA half on libtorch, of which the linker sees no use.
        extra_link_args=["-ltorch_cpu", "-lc10", "-Wl,--no-as-needed", "-ltorch"],
        depends=[str(s) for s in CSRC.rglob("*") if s.suffix in (".h", ".cu")],
        language="c++",
    )
    if CUDA:
        extension.define_macros.append(("ISP_META_CUDA", None))
        extension.extra_link_args += cudart_flags(CUDA[0])
    return extension


def payload_extension() -> list[Extension]:
    """The bit-exact coder, without torch: integers, but for what an encoder fits."""
    sources = sorted(map(str, CSRC.glob("payload/*.cpp")))
    flags = [*CXX_FLAGS, f"-I{CSRC.resolve()}", f"-isystem{pybind11.get_include()}"]
    # A multiplication and an addition made one would round otherwise, where a machine has that.
    flags.append("-ffp-contract=off")
    extension = Extension("isp_meta._payload", sources, extra_compile_args=flags, language="c++")
    extension.depends = [str(header) for header in CSRC.glob("payload/*.h")]
    return [extension] if sources else []


class Build(BuildExtension):
    def build_extension(self, extension: Extension) -> None:
        if ("ISP_META_CUDA", None) in extension.define_macros:
            with ThreadPoolExecutor(int(os.environ.get("MAX_JOBS", os.cpu_count() or 1))) as pool:
                extension.extra_objects = list(pool.map(self.compile_cuda, CSRC.glob("*/*.cu")))
        super().build_extension(extension)

    def compile_cuda(self, source: Path) -> str:
        target = Path(self.build_temp, source).with_suffix(".cu.o").resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        nvcc, known = CUDA
        codes = [f"-gencode=arch=compute_{n},code=[sm_{n},compute_{n}]" for n in known]
        command = [nvcc, *NVCC_FLAGS, *codes, f"-I{CSRC}", "-c", source, "-o", target]
        subprocess.run(command, check=True)
        return str(target)


CUDA = find_nvcc()
setup(
    ext_modules=[ops_extension(), *payload_extension()],
    cmdclass={"build_ext": Build.with_options(use_ninja=True)},
)
