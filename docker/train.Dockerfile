# The training image: everything of the serving image, and what trains in batch.
#
#   docker build -f docker/train.Dockerfile -t streamae-train .
#
# TORCH_INDEX_URL names a further package index to take torch from, such as PyTorch's own index of CPU builds. Without
# it pip takes the build that its usual index has, which on Linux brings the CUDA libraries: it works, and is larger.

FROM python:3.11-slim AS build
ARG TORCH_INDEX_URL=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/streamae
WORKDIR /src
# What it depends on comes first, from the metadata alone: this layer is made again only when that changes.
COPY pyproject.toml README.md LICENSE ./
RUN mkdir streamae \
    && touch streamae/__init__.py \
    && /opt/streamae/bin/pip install --no-cache-dir \
        ${TORCH_INDEX_URL:+--extra-index-url "${TORCH_INDEX_URL}"} ".[train,tune,serve,cpu]"
COPY streamae ./streamae
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && /opt/streamae/bin/pip install --no-cache-dir --no-deps --force-reinstall /wheels/*.whl \
    && /opt/streamae/bin/pip uninstall --yes pip

FROM python:3.11-slim
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="StreamAE training" \
      org.opencontainers.image.description="Trains, judges and retrains autoencoders for topics of sensor readings" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# By number, so that a cluster can see that it is not root.
RUN groupadd --gid 10001 streamae \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin streamae \
    && install -d -o 10001 -g 10001 /etc/streamae /var/lib/streamae \
        /var/lib/streamae/registry /var/lib/streamae/history
COPY --from=build /opt/streamae /opt/streamae
ENV PATH=/opt/streamae/bin:$PATH \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/streamae
# It serves no page: it works, waits for its schedule, or has ended, and then whoever runs it starts it again.
HEALTHCHECK NONE
ENTRYPOINT ["streamae"]
CMD ["retrain", "/etc/streamae/plant.toml"]
