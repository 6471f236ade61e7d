# The service with the model versions of models/ in it: train first, then `docker build .`
# Another base image: docker build --build-arg BASE=IMAGE .
ARG BASE=official
# Named in a FROM line because that is where Dependabot looks; not pulled when BASE is another image.
FROM python:3.13-slim-bookworm AS official

FROM ${BASE} AS build
COPY requirements.lock /tmp/requirements.lock
# The environment gets no pip of its own: what serves cannot install.
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r /tmp/requirements.lock

FROM ${BASE} AS serve
ARG REVISION=unknown
LABEL org.opencontainers.image.title="churn-service" \
      org.opencontainers.image.description="Churn probability of a customer, by a versioned model" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
# The package is pure Python, so its wheel would hold these very files. Putting them on the path instead of
# building one keeps the build backend, which requirements.lock does not pin, out of the image's making.
COPY src src
COPY config.yaml config.yaml
COPY models models
# What is written: the prediction log, and the mirror of a registry in an object store. Mount volumes here.
RUN install --directory --owner=10001 --group=10001 /app/predictions /app/models-cache
# ONNX Runtime's official builds send telemetry unless they are told not to before they start.
ENV PATH=/opt/venv/bin:$PATH \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONPATH=/app/src \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CHURN_IMAGE_TAG=${REVISION} \
    CHURN_HOST=0.0.0.0 \
    CHURN_PORT=8000
# A number, so that Kubernetes can see that it is not root. Nothing else in the image is writable for it.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Without a proxy: one that the environment names must not be asked for this container's own address.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open(f'http://127.0.0.1:{os.environ[\"CHURN_PORT\"]}/health', timeout=2)"]
ENTRYPOINT ["python", "-m", "churn_service"]
CMD ["serve"]
