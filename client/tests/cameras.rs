//! Cameras as GStreamer's monitor of devices tells of them: here by a provider of this test, where on
//! a desktop there is that of video4linux.

use client::camera::{CameraName, Encoding, Rate, Span};
use client::devices::cameras;
use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

const CAPS: &str = "\
video/x-raw,format=YUY2,width=640,height=480,framerate={30/1,15/1};\
image/jpeg,width=1280,height=720,framerate=30000/1001;\
video/x-h264,width=[16,1920],height=[16,1080],framerate=[1/1,30/1];\
audio/x-raw;video/x-bayer,width=640,height=480,framerate=30/1";

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Camera;

    #[glib::object_subclass]
    impl ObjectSubclass for Camera {
        const NAME: &'static str = "AldisTestCamera";
        type Type = super::Camera;
        type ParentType = gst::Device;
    }

    impl ObjectImpl for Camera {}
    impl GstObjectImpl for Camera {}
    impl DeviceImpl for Camera {}

    #[derive(Default)]
    pub struct Provider;

    #[glib::object_subclass]
    impl ObjectSubclass for Provider {
        const NAME: &'static str = "AldisTestProvider";
        type Type = super::Provider;
        type ParentType = gst::DeviceProvider;
    }

    impl ObjectImpl for Provider {}
    impl GstObjectImpl for Provider {}

    impl DeviceProviderImpl for Provider {
        fn metadata() -> Option<&'static gst::subclass::DeviceProviderMetadata> {
            use std::sync::LazyLock;
            static METADATA: LazyLock<gst::subclass::DeviceProviderMetadata> =
                LazyLock::new(|| {
                    gst::subclass::DeviceProviderMetadata::new(
                        "Test",
                        "Video/Source",
                        "Two cameras",
                        "Aldis",
                    )
                });
            Some(&METADATA)
        }

        fn probe(&self) -> Vec<gst::Device> {
            let camera = |name: &str, path: &str| {
                let caps: gst::Caps = CAPS.parse().expect("caps");
                let properties = gst::Structure::builder("properties")
                    .field("device.path", path)
                    .build();
                glib::Object::builder::<super::Camera>()
                    .property("display-name", name)
                    .property("device-class", "Video/Source")
                    .property("caps", caps)
                    .property("properties", properties)
                    .build()
                    .upcast()
            };
            vec![
                camera("USB Microscope", "/nonexistent/video9"),
                camera("Integrated Camera", "/nonexistent/video8"),
            ]
        }

        fn start(&self) -> Result<(), gst::LoggableError> {
            for device in self.probe() {
                self.obj().device_add(&device);
            }
            Ok(())
        }
    }
}

glib::wrapper! {
    pub struct Camera(ObjectSubclass<imp::Camera>) @extends gst::Device, gst::Object;
}

glib::wrapper! {
    pub struct Provider(ObjectSubclass<imp::Provider>) @extends gst::DeviceProvider, gst::Object;
}

#[test]
fn cameras_are_listed_with_what_they_offer_and_found_by_their_names() {
    gst::init().expect("GStreamer is installed");
    gst::DeviceProvider::register(
        None,
        "aldistestprovider",
        gst::Rank::PRIMARY,
        Provider::static_type(),
    )
    .expect("it is new");
    let cameras = cameras::cameras();
    let ours: Vec<_> = cameras
        .iter()
        .filter(|camera| camera.path.starts_with("/nonexistent/"))
        .collect();
    let paths: Vec<_> = ours
        .iter()
        .map(|camera| (camera.path.as_str(), camera.name.as_str()))
        .collect();
    assert_eq!(
        paths,
        [
            ("/nonexistent/video8", "Integrated Camera"),
            ("/nonexistent/video9", "USB Microscope")
        ]
    );
    let [raw, jpeg, h264] = ours[0].forms.as_slice() else {
        panic!("{:?}", ours[0].forms);
    };
    assert_eq!(
        (raw.encoding, raw.layout.as_deref()),
        (Encoding::Raw, Some("YUY2"))
    );
    assert_eq!(
        raw.rates,
        [30, 15].map(|rate| Span::of(Rate::per_second(rate)))
    );
    let ntsc = Rate {
        frames: 30_000,
        seconds: 1001,
    };
    assert_eq!(
        (jpeg.encoding, &jpeg.rates),
        (Encoding::Mjpeg, &vec![Span::of(ntsc)])
    );
    let width = Span { min: 16, max: 1920 };
    assert_eq!((h264.encoding, h264.width), (Encoding::H264, width));
    let rates = Span {
        min: Rate::per_second(1),
        max: Rate::per_second(30),
    };
    assert_eq!(h264.rates, [rates]);

    // Found by its name, and missing behind its path: the sentence says so, and which there are.
    let wanted = client::camera::Wanted {
        width: 640,
        height: 480,
        framerate: 30,
        passes_h264: false,
    };
    let name = CameraName::Name("microscope".into());
    let failure = cameras::plan(&name, &wanted).expect_err("there is nothing behind it");
    assert!(
        failure
            .sentence
            .starts_with("There is no camera /nonexistent/video9; "),
        "{failure}"
    );
    assert!(
        failure
            .sentence
            .contains("/nonexistent/video8 \"Integrated Camera\""),
        "{failure}"
    );
}
