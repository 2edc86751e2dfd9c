// Camera and microphone, and in plain words why there are none.

/**
 * Opens camera and microphone, or whichever of the two there is.
 *
 * @returns {Promise<MediaStream>}
 * @throws {Error} with a sentence for the person
 */
export async function openDevices() {
  if (navigator.mediaDevices === undefined) {
    throw new Error('The browser gives camera and microphone only to pages opened over https or on localhost. You are watching only.');
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
  } catch (error) {
    if (!isMissing(error)) throw new Error(sentence(error));
  }
  for (const constraints of [{ video: true }, { audio: true }]) {
    try {
      return await navigator.mediaDevices.getUserMedia(constraints);
    } catch (error) {
      if (!isMissing(error)) throw new Error(sentence(error));
    }
  }
  throw new Error('No camera and no microphone were found. You are watching only.');
}

/** @param {MediaStream} stream */
export function closeDevices(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** @param {unknown} error */
function isMissing(error) {
  return error instanceof DOMException && error.name === 'NotFoundError';
}

/** @param {unknown} error */
function sentence(error) {
  switch (error instanceof DOMException ? error.name : '') {
    case 'NotAllowedError':
      return 'Camera and microphone are not allowed. Allow them beside the address of this page if you want to be seen. You are watching only.';
    case 'NotReadableError':
      return 'Camera or microphone are in use by another program. Close it and try again. You are watching only.';
    default:
      return `Camera and microphone could not be opened (${error instanceof Error ? error.message : error}). You are watching only.`;
  }
}
