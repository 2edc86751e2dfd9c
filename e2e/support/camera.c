// A camera for machines without one: answers for a device node what a driver of video4linux would.
//
// Preloaded into the program under test (LD_PRELOAD). The node is made by mknod and leads to
// /dev/null; whatever is asked of it is answered here, and everything else goes its usual way.
//
//   CAMERA_NODE   the path of the node; when it is removed, the camera is unplugged
//   CAMERA_MJPEG  a file of JPEGs, one behind the other: the moving pictures of 1280x720
//   CAMERA_H264   a file of H.264 (Annex B) with a delimiter before each picture: those of 960x540
//   CAMERA_BUSY   a path; while it exists, another program has the camera
//
// It offers YUYV 640x480 at 30, YUYV 1280x720 at 10, MJPEG 1280x720 at 30 and, where it has some, H.264
// 960x540 at 30 frames a second. The raw pictures are four colours, over which a black square moves from left to right.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 1024
#define MAX_BUFFERS 8
#define MAX_PICTURES 256
#define BUFFER_BYTES (1280 * 720 * 2)
#define SECOND 1000000000ll

static const struct form {
    uint32_t pixels, width, height, rate;
} FORMS[] = {
    {V4L2_PIX_FMT_YUYV, 640, 480, 30},
    {V4L2_PIX_FMT_YUYV, 1280, 720, 10},
    {V4L2_PIX_FMT_MJPEG, 1280, 720, 30},
    {V4L2_PIX_FMT_H264, 960, 540, 30},
};
#define FORM_COUNT (sizeof FORMS / sizeof FORMS[0] - (getenv("CAMERA_H264") ? 0 : 1))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool ours[MAX_FDS];
static const struct form *chosen = &FORMS[0];
static unsigned char *memory[MAX_BUFFERS];
static unsigned count, queue[MAX_BUFFERS], queued;
static bool streaming;
static int64_t began, frame;
// Encoded pictures, one behind the other.
struct film {
    unsigned char *bytes;
    size_t at[MAX_PICTURES + 1];
    unsigned count;
};
static struct film jpegs, h264;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)

static bool is_ours(int fd) { return fd >= 0 && fd < MAX_FDS && ours[fd]; }

static int remember(const char *path, int fd) {
    const char *node = getenv("CAMERA_NODE");
    if (node && path && fd >= 0 && fd < MAX_FDS && !strcmp(path, node)) ours[fd] = true;
    return fd;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        int mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, int) : 0; \
        va_end(more); \
        return remember(path, real(path, flags, mode)); \
    }
OPEN(open)
OPEN(open64)

int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }

int dup(int fd) {
    REAL(dup);
    int copy = real(fd);
    if (copy >= 0 && copy < MAX_FDS) ours[copy] = is_ours(fd);
    return copy;
}

int close(int fd) {
    REAL(close);
    if (fd >= 0 && fd < MAX_FDS) ours[fd] = false;
    return real(fd);
}

#define MMAP(name, offset_type) \
    void *name(void *at, size_t length, int protection, int flags, int fd, offset_type offset) { \
        REAL(name); \
        if (!is_ours(fd)) return real(at, length, protection, flags, fd, offset); \
        unsigned index = offset / BUFFER_BYTES; \
        if (index >= count) { errno = EINVAL; return MAP_FAILED; } \
        memory[index] = real(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); \
        return memory[index]; \
    }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

// The start of a JPEG; inside one these bytes never stand together.
static const unsigned char JPEG[] = {0xff, 0xd8, 0xff};
// An access unit delimiter, and the start code before it.
static const unsigned char DELIMITER[] = {0, 0, 0, 1, 9};

static void load(struct film *film, const char *path, const unsigned char *start, size_t start_length) {
    FILE *file = film->bytes || !path ? NULL : fopen(path, "rb");
    if (!file) return;
    fseek(file, 0, SEEK_END);
    size_t length = ftell(file);
    rewind(file);
    film->bytes = malloc(length);
    length = fread(film->bytes, 1, length, file);
    fclose(file);
    for (size_t at = 0; at + start_length <= length && film->count < MAX_PICTURES; at++) {
        if (!memcmp(film->bytes + at, start, start_length)) film->at[film->count++] = at;
    }
    film->at[film->count] = length;
}

// Y, Cb, Cr of 0xc00000, 0x00c000, 0x0000c0 and 0xc0c0c0 (ITU-R BT.601).
static const unsigned char COLOURS[4][3] = {{65, 100, 212}, {113, 72, 58}, {35, 212, 114}, {181, 128, 128}};

static size_t draw(unsigned char *into) {
    uint32_t width = chosen->width, height = chosen->height;
    uint32_t square = (uint32_t)(frame * 240 / chosen->rate) % (width - 80);
    for (uint32_t y = 0; y < height; y++) {
        bool in_row = y >= height / 2 - 40 && y < height / 2 + 40;
        for (uint32_t x = 0; x < width; x += 2) {
            const unsigned char *colour = COLOURS[(y >= height / 2) * 2 + (x >= width / 2)];
            bool black = in_row && x >= square && x < square + 80;
            *into++ = black ? 16 : colour[0];
            *into++ = black ? 128 : colour[1];
            *into++ = black ? 16 : colour[0];
            *into++ = black ? 128 : colour[2];
        }
    }
    return (size_t)width * height * 2;
}

static size_t fill(unsigned char *into) {
    if (chosen->pixels == V4L2_PIX_FMT_YUYV) return draw(into);
    struct film *film = chosen->pixels == V4L2_PIX_FMT_H264 ? &h264 : &jpegs;
    load(&jpegs, getenv("CAMERA_MJPEG"), JPEG, sizeof JPEG);
    load(&h264, getenv("CAMERA_H264"), DELIMITER, sizeof DELIMITER);
    if (film->count == 0) return 0;
    size_t from = film->at[frame % film->count], to = film->at[frame % film->count + 1];
    size_t length = to - from < BUFFER_BYTES ? to - from : BUFFER_BYTES;
    memcpy(into, film->bytes + from, length);
    return length;
}

static void describe(struct v4l2_pix_format *pixels) {
    const struct form *best = NULL;
    for (unsigned at = 0; at < FORM_COUNT; at++) {
        const struct form *form = &FORMS[at];
        if (form->pixels != pixels->pixelformat) continue;
        if (!best || (form->width <= pixels->width && form->height <= pixels->height)) best = form;
    }
    if (!best) best = &FORMS[0];
    bool raw = best->pixels == V4L2_PIX_FMT_YUYV;
    *pixels = (struct v4l2_pix_format){
        .width = best->width, .height = best->height, .pixelformat = best->pixels,
        .field = V4L2_FIELD_NONE, .bytesperline = raw ? best->width * 2 : 0,
        .sizeimage = raw ? best->width * best->height * 2 : BUFFER_BYTES,
        .colorspace = raw ? V4L2_COLORSPACE_SMPTE170M : V4L2_COLORSPACE_JPEG,
    };
}

static const struct form *form_of(const struct v4l2_pix_format *pixels) {
    for (unsigned at = 0; at < FORM_COUNT; at++) {
        const struct form *form = &FORMS[at];
        if (form->pixels == pixels->pixelformat && form->width == pixels->width && form->height == pixels->height) return form;
    }
    return &FORMS[0];
}

// The form at a place in the list of those that have these pixels.
static const struct form *nth(uint32_t pixels, uint32_t index) {
    for (unsigned at = 0; at < FORM_COUNT; at++) {
        if (FORMS[at].pixels == pixels && index-- == 0) return &FORMS[at];
    }
    return NULL;
}

static bool is_busy(void) {
    const char *busy = getenv("CAMERA_BUSY");
    return busy && access(busy, F_OK) == 0;
}

static int take(struct v4l2_buffer *buffer) {
    if (!streaming || queued == 0) return EAGAIN;
    int64_t due = began + frame * SECOND / chosen->rate;
    if (due < now() && chosen->pixels == V4L2_PIX_FMT_H264) {
        // What is encoded when it is taken refers to what was taken before: none is lost.
        began += now() - due;
        due = began + frame * SECOND / chosen->rate;
    } else if (due < now()) {
        // Nobody took them in time: those frames are lost.
        frame = (now() - began) * chosen->rate / SECOND + 1;
        due = began + frame * SECOND / chosen->rate;
    }
    struct timespec until = {due / SECOND, due % SECOND};
    pthread_mutex_unlock(&lock);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    pthread_mutex_lock(&lock);
    if (!streaming || queued == 0) return EAGAIN;
    unsigned index = queue[0];
    memmove(queue, queue + 1, --queued * sizeof queue[0]);
    buffer->index = index;
    buffer->bytesused = memory[index] ? fill(memory[index]) : 0;
    buffer->length = BUFFER_BYTES;
    buffer->field = V4L2_FIELD_NONE;
    buffer->sequence = frame++;
    buffer->flags = V4L2_BUF_FLAG_DONE | V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->timestamp = (struct timeval){due / SECOND, due % SECOND / 1000};
    return 0;
}

static int enumerate(unsigned long request, void *argument) {
    if (request == VIDIOC_ENUMINPUT) {
        struct v4l2_input *input = argument;
        if (input->index > 0) return EINVAL;
        input->type = V4L2_INPUT_TYPE_CAMERA;
        strcpy((char *)input->name, "Camera 1");
        return 0;
    }
    if (request == VIDIOC_ENUM_FMT) {
        struct v4l2_fmtdesc *format = argument;
        static const uint32_t PIXELS[] = {V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_MJPEG, V4L2_PIX_FMT_H264};
        if (format->index > 2 || format->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return EINVAL;
        if (!nth(PIXELS[format->index], 0)) return EINVAL;
        format->pixelformat = PIXELS[format->index];
        format->flags = format->index == 0 ? 0 : V4L2_FMT_FLAG_COMPRESSED;
        return 0;
    }
    if (request == VIDIOC_ENUM_FRAMESIZES) {
        struct v4l2_frmsizeenum *size = argument;
        const struct form *form = nth(size->pixel_format, size->index);
        if (!form) return EINVAL;
        size->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        size->discrete.width = form->width;
        size->discrete.height = form->height;
        return 0;
    }
    struct v4l2_frmivalenum *interval = argument;
    struct v4l2_pix_format pixels = {.pixelformat = interval->pixel_format, .width = interval->width, .height = interval->height};
    if (interval->index > 0) return EINVAL;
    interval->type = V4L2_FRMIVAL_TYPE_DISCRETE;
    interval->discrete = (struct v4l2_fract){1, form_of(&pixels)->rate};
    return 0;
}

// What the driver would do; 0, or the number of an error.
static int answer(unsigned long request, void *argument) {
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *can = argument;
        memset(can, 0, sizeof *can);
        strcpy((char *)can->driver, "aldis");
        strcpy((char *)can->card, "Aldis Test Camera");
        strcpy((char *)can->bus_info, "platform:aldis");
        can->version = 0x060100;
        can->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        can->capabilities = can->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case VIDIOC_ENUMINPUT:
    case VIDIOC_ENUM_FMT:
    case VIDIOC_ENUM_FRAMESIZES:
    case VIDIOC_ENUM_FRAMEINTERVALS:
        return enumerate(request, argument);
    case VIDIOC_G_INPUT:
        *(int *)argument = 0;
        return 0;
    case VIDIOC_S_INPUT:
        return *(int *)argument == 0 ? 0 : EINVAL;
    case VIDIOC_G_FMT:
    case VIDIOC_TRY_FMT:
    case VIDIOC_S_FMT: {
        struct v4l2_format *format = argument;
        if (format->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return EINVAL;
        if (request == VIDIOC_S_FMT && is_busy()) return EBUSY;
        if (request == VIDIOC_G_FMT) {
            format->fmt.pix = (struct v4l2_pix_format){.pixelformat = chosen->pixels, .width = chosen->width, .height = chosen->height};
        }
        describe(&format->fmt.pix);
        if (request == VIDIOC_S_FMT) chosen = form_of(&format->fmt.pix);
        return 0;
    }
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
        struct v4l2_streamparm *parameters = argument;
        if (parameters->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return EINVAL;
        parameters->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        parameters->parm.capture.timeperframe = (struct v4l2_fract){1, chosen->rate};
        return 0;
    }
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *wanted = argument;
        if (wanted->memory != V4L2_MEMORY_MMAP) return EINVAL;
        if (is_busy()) return EBUSY;
        wanted->count = wanted->count < MAX_BUFFERS ? wanted->count : MAX_BUFFERS;
        wanted->capabilities = V4L2_BUF_CAP_SUPPORTS_MMAP;
        count = wanted->count;
        queued = 0;
        return 0;
    }
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buffer = argument;
        if (buffer->index >= count) return EINVAL;
        buffer->length = BUFFER_BYTES;
        buffer->m.offset = buffer->index * BUFFER_BYTES;
        buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
        return 0;
    }
    case VIDIOC_QBUF: {
        struct v4l2_buffer *buffer = argument;
        if (buffer->index >= count || queued == MAX_BUFFERS) return EINVAL;
        queue[queued++] = buffer->index;
        buffer->flags = V4L2_BUF_FLAG_QUEUED | V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
        return 0;
    }
    case VIDIOC_DQBUF:
        return take(argument);
    case VIDIOC_STREAMON:
        if (is_busy()) return EBUSY;
        streaming = true;
        began = now();
        frame = 0;
        return 0;
    case VIDIOC_STREAMOFF:
        streaming = false;
        queued = 0;
        return 0;
    default:
        return ENOTTY;
    }
}

int ioctl(int fd, unsigned long request, ...) {
    REAL(ioctl);
    va_list more;
    va_start(more, request);
    void *argument = va_arg(more, void *);
    va_end(more);
    if (!is_ours(fd)) return real(fd, request, argument);
    pthread_mutex_lock(&lock);
    const char *node = getenv("CAMERA_NODE");
    int error = node && access(node, F_OK) == 0 ? answer(request, argument) : ENODEV;
    pthread_mutex_unlock(&lock);
    errno = error;
    return error == 0 ? 0 : -1;
}
