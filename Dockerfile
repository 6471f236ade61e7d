# Two images: `serve` answers predictions; `jobs` runs every command that takes longer, such as training.
# `make image` builds them, docs/service/image.md says how. Other bases: --build-arg BASE=… --build-arg BUILD_BASE=…
ARG BASE=official
ARG BUILD_BASE=official-build
# Named in FROM lines because that is where Dependabot looks; not pulled when the bases are others.
FROM python:3.13-slim-bookworm AS official
# The same Python, with the strip that packages.sh calls. Nothing of it reaches an image but what it installed.
FROM python:3.13-bookworm AS official-build

FROM ${BUILD_BASE} AS build
ENV PYTHONDONTWRITEBYTECODE=1
COPY deploy/image/packages.sh requirements-uv.lock /build/
COPY scripts/install.py /build/scripts/

# The secrets say where pip finds packages, behind a proxy or a mirror. Neither need be there; neither stays.
FROM build AS serve-packages
COPY requirements.lock /build/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem \
    sh /build/packages.sh /build/requirements.lock

FROM build AS jobs-packages
COPY requirements-jobs.lock /build/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem \
    sh /build/packages.sh /build/requirements-jobs.lock

# All that .dockerignore lets through, because COPY models would fail where there are none. The package is pure
# Python, so its wheel would hold these very files: no build backend is needed. Whatever the umask of who
# checked out or trained, everybody may read. What is written to are volumes, of the user that runs.
FROM build AS jobs-app
WORKDIR /app
COPY . .
RUN rm -rf deploy scripts models requirements.lock requirements-jobs.lock requirements-uv.lock \
    && chmod -R u=rwX,go=rX . \
    && install --directory --owner=10001 --group=10001 data models models-cache
RUN install --directory --owner=10001 --group=10001 predictions
# What trains here records the commit by it, as there is no git in the image.
ARG REVISION=unknown
RUN printf '%s\n' "$REVISION" > image-revision && chmod 444 image-revision

FROM build AS serve-app
# What models/ holds goes into the image; `none` leaves it out, for a registry that CHURN_REGISTRY_URL names.
ARG MODELS=inside
WORKDIR /app
COPY . .
RUN rm -rf deploy scripts requirements*.lock \
    && if [ "$MODELS" = none ]; then rm -rf models; fi \
    && mkdir -p models \
    && chmod -R u=rwX,go=rX . \
    && install --directory --owner=10001 --group=10001 models-cache
RUN install --directory --owner=10001 --group=10001 predictions

FROM ${BASE} AS runtime
ARG REVISION=unknown
LABEL org.opencontainers.image.title="churn-service" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${REVISION}"
# What runs installs nothing: the base's pip goes, and what it could come back from.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip \
    /usr/lib/python3*/ensurepip /usr/share/python-wheels
# ONNX Runtime's official builds send telemetry unless they are told not to before they start.
ENV PATH=/opt/venv/bin:$PATH \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONPATH=/app/src:/app/engine/src \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CHURN_IMAGE_TAG=${REVISION}
WORKDIR /app
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "churn_service"]

FROM runtime AS jobs
LABEL org.opencontainers.image.description="The commands of churn-service, for training and scoring"
COPY --from=jobs-packages /opt/venv /opt/venv
COPY --from=jobs-app /app /app
# matplotlib keeps a cache of the fonts that it found.
ENV MPLCONFIGDIR=/tmp/matplotlib
CMD ["--help"]

# The last one, which `docker build` makes when it is told no target.
FROM runtime AS serve
LABEL org.opencontainers.image.description="Churn probability of a customer, by a versioned model"
COPY --from=serve-packages /opt/venv /opt/venv
COPY --from=serve-app /app /app
ENV CHURN_HOST=0.0.0.0 \
    CHURN_PORT=8000
EXPOSE 8000
# By a bare socket: no proxy is asked, and Python loads next to nothing.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-I", "-S", "-c", "import os, _socket, sys; s = _socket.socket(); s.settimeout(2); s.connect(('127.0.0.1', int(os.environ['CHURN_PORT']))); s.sendall(b'GET /health HTTP/1.0\\r\\n\\r\\n'); sys.exit(b' 200 ' not in s.recv(64))"]
CMD ["serve"]
