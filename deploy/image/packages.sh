#!/bin/sh
# A lock → /opt/venv: what it names, checked by hash, without what an image does not need. Each line below says
# why that is not needed; `make smoke` shows that the commands work without it, `make image-size` what is left.
set -eu
python "$(dirname "$0")/scripts/install.py" --bare --into /opt/venv --lock "$1"
cd "$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

# Tests, and what only compilers and type checkers read.
find . -depth -type d -name tests -exec rm -r {} +
find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.a' \) -delete
# ONNX Runtime as a library for C: the extension module holds all of it once more, and loads none of this.
rm -f onnxruntime/capi/libonnxruntime.so.*
# What converts and compresses models, which none of our commands does.
rm -rf onnxruntime/tools onnxruntime/quantization onnxruntime/transformers
# The descriptions of all services of AWS: s3fs asks S3, and for credentials STS and SSO.
[ ! -d botocore/data ] || find botocore/data -mindepth 1 -maxdepth 1 -type d \
    ! -name s3 ! -name sts ! -name 'sso*' -exec rm -r {} +
# Parts of NumPy that only its tests load.
rm -f numpy/_core/_simd.*.so numpy/_core/*_tests.*.so
# SQLAlchemy's tools for testing dialects, and the dialects of databases that keep no log here.
rm -rf sqlalchemy/testing sqlalchemy/dialects/mssql sqlalchemy/dialects/mysql sqlalchemy/dialects/oracle
# Symbols for debuggers. Libraries in *.libs stay as they are: who bundled them has moved their parts.
find . -name '*.so' ! -path '*.libs/*' -exec strip --strip-unneeded {} +
