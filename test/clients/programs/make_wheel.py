"""Makes a wheel with one module in it: `PROGRAM MODULE VERSION FILE`. The build tools of Python would have to be installed first."""
import sys
import zipfile

module, version, path = sys.argv[1:]
info = f"{module}-{version}.dist-info"
files = {
    f"{module}.py": 'MESSAGE = "it works"\n',
    f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {module}\nVersion: {version}\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
with zipfile.ZipFile(path, "w") as wheel:
    for name, content in files.items():
        wheel.writestr(name, content)
