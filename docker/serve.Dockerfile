# The serving image: detection, topics and the service. No torch, no pandas.
#
#   docker build -f docker/serve.Dockerfile -t streamae-serve .
#   docker build -f docker/serve.Dockerfile -t streamae-serve:gpu --build-arg RUNTIME=gpu .

FROM python:3.11-slim AS build
# cpu, or gpu for ONNX Runtime with CUDA
ARG RUNTIME=cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/streamae
WORKDIR /src
# What it depends on comes first, from the metadata alone: this layer is made again only when that changes.
COPY pyproject.toml README.md LICENSE ./
RUN mkdir streamae \
    && touch streamae/__init__.py \
    && /opt/streamae/bin/pip install --no-cache-dir ".[serve,${RUNTIME}]"
COPY streamae ./streamae
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && /opt/streamae/bin/pip install --no-cache-dir --no-deps --force-reinstall /wheels/*.whl \
    && /opt/streamae/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="StreamAE serving" \
      org.opencontainers.image.description="Scores a topic of sensor readings with autoencoders and publishes alerts" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# By number, so that a cluster can see that it is not root.
RUN groupadd --gid 10001 streamae \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin streamae \
    && install -d -o 10001 -g 10001 /etc/streamae /var/lib/streamae /var/lib/streamae/registry
COPY --from=build /opt/streamae /opt/streamae
ENV PATH=/opt/streamae/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/streamae
EXPOSE 9464
# Healthy while the loop makes progress; anything else is answered with 503, which raises. Port as in the config.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9464/healthz', timeout=3)"]
ENTRYPOINT ["streamae"]
CMD ["serve", "/etc/streamae/plant.toml"]
