// How long a page goes without a new picture.

/** Has the page measure the pauses between presented frames. */
export function watchPauses(page) {
  return page.page.evaluate(() => {
    const video = [...document.querySelectorAll('video')].find((video) => video.videoWidth > 0 && !video.muted)
      ?? [...document.querySelectorAll('video')].find((video) => video.videoWidth > 0);
    const pauses = { last: performance.now(), longest: 0, frames: 0 };
    globalThis.pauses = pauses;
    const presented = (now) => {
      pauses.longest = Math.max(pauses.longest, now - pauses.last);
      pauses.last = now;
      pauses.frames += 1;
      video.requestVideoFrameCallback(presented);
    };
    video.requestVideoFrameCallback(presented);
  });
}

/** The pauses so far, with the one that may be going on. */
export function pauses(page) {
  return page.page.evaluate(() => {
    const { last, longest, frames } = globalThis.pauses;
    return { frames, longest: Math.max(longest, performance.now() - last) };
  });
}
