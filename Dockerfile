# syntax=docker/dockerfile:1
# Two stages: dependencies are installed from the lock with their hashes, then only the result is
# kept. Runs as a user of its own, writes nowhere but /var/lib/remediator, so a read-only root
# file system will do: docker run --read-only -v remediator:/var/lib/remediator …
# The newest 3.13 that the image's own repository (docker-library/python) knew when this was written.
# A tag can be moved; a digest can't, and is pinned where the image is built:
# docker build --build-arg DIGEST=@sha256:… (docker buildx imagetools inspect names it).
ARG PYTHON=3.13.14-slim-bookworm
ARG DIGEST=

FROM python:${PYTHON}${DIGEST} AS build
WORKDIR /build
RUN python -m venv /opt/remediator
ENV PATH=/opt/remediator/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY .ci/build-requirements.lock ./
RUN pip install --target /build/tools --require-hashes -r build-requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY remediator ./remediator
RUN PYTHONPATH=/build/tools pip install --no-deps --no-build-isolation .

FROM python:${PYTHON}${DIGEST}
RUN useradd --system --uid 65532 --home-dir /var/lib/remediator --create-home remediator
COPY --from=build /opt/remediator /opt/remediator
COPY runbooks /etc/remediator/runbooks
ENV PATH=/opt/remediator/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    REMEDIATOR_JOURNAL=sqlite:////var/lib/remediator/journal.db \
    REMEDIATOR_RUNBOOKS='["/etc/remediator/runbooks"]'
USER 65532:65532
WORKDIR /var/lib/remediator
VOLUME /var/lib/remediator
EXPOSE 9095
# Without a token it listens on loopback only; give a config with tokens and `listen: :9095`.
ENTRYPOINT ["remediator"]
CMD ["serve"]
